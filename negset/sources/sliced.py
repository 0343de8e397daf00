"""The rows of one partition of a dataset: one table is cut by a column, and the judgements follow.

What lies in other partitions is none of this one's: it is not counted among the rows that were read, so that rows of
others change nothing here.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Final

import polars as pl

from negset.errors import ConfigError, NoDataError, hint, listed
from negset.metadata import metadata_values, require_columns
from negset.sources.quarantine import BadRow
from negset.sources.tables import TIME, SourceTables
from negset.sources.values import time_of
from schemas.config import ColumnsConfig, SourceConfig

_OWN: Final = {
    "corpus": {"created_at": "created_at", "version_at": "version_at"},
    "queries": {"asked_at": "asked_at", "split": "split"},
    "qrels": {"judged_at": "judged_at", "split": "split"},
}
"""Columns of a table that a source's own names stand for."""


def sliced_tables(tables: SourceTables, source: SourceConfig) -> SourceTables:
    """Give the rows of `tables` that belong to `source.slice`; all, where it names no column.

    Raises ConfigError where there is no such column, NoDataError where no row belongs to the slice.
    """
    if not source.slice.column:
        return tables
    table, _, column = source.slice.column.partition(".")
    frame: pl.DataFrame = getattr(tables, table)
    inside = frame.filter(_inside(frame, table, column, source))
    if not inside.height:
        wanted = source.slice.equals or f"{source.slice.start} to {source.slice.end}"
        message = f"none of {frame.height} rows of the {table} belongs to {wanted} ({source.slice.column})"
        raise NoDataError(message)
    cut = _followed(tables, table, inside)
    gone = sum(getattr(tables, name).height - getattr(cut, name).height for name in ("corpus", "queries", "qrels"))
    return replace(cut, rows_read=tables.rows_read - gone)


def _followed(tables: SourceTables, table: str, inside: pl.DataFrame) -> SourceTables:
    """Give `tables` with the rows `inside` of one `table`, and of the others what goes with them.

    A judgement goes where its query or document goes; one of what the source lacks altogether stays, to be counted.
    """
    if table == "corpus":
        return replace(tables, corpus=inside, qrels=_without(tables.qrels, tables.corpus, inside, "doc_id"))
    if table == "qrels":  # all judgements of a query come along: a positive of another time is no negative
        inside = tables.queries.join(inside, on="query_id", how="semi", maintain_order="left")
    return replace(tables, queries=inside, qrels=_without(tables.qrels, tables.queries, inside, "query_id"))


def _without(qrels: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, key: str) -> pl.DataFrame:
    gone = before.join(after, on=key, how="anti").select(key).unique()
    return qrels.join(gone, on=key, how="anti", maintain_order="left")


def _inside(frame: pl.DataFrame, table: str, column: str, source: SourceConfig) -> pl.Series:
    """Say of each row of `frame` whether its `column` has the value, or lies in the period, of the slice."""
    wanted = source.slice
    own = _own_column(table, column, source.columns)
    if not wanted.start:
        found = frame.get_column(own).cast(pl.String).to_list() if own else _other(frame, table, column)
        return pl.Series([value is not None and _text(value) == wanted.equals for value in found], dtype=pl.Boolean)
    times = frame.get_column(own) if own else pl.Series(_times(_other(frame, table, column), column), dtype=TIME)
    if times.dtype != TIME:
        message = f"partitions.column {source.slice.column!r} holds no times, so it carries no periods of time"
        raise ConfigError(message)
    start, end = datetime.fromisoformat(wanted.start), datetime.fromisoformat(wanted.end)
    return times.is_between(start, end, closed="left").fill_null(value=False)


def _own_column(table: str, column: str, columns: ColumnsConfig) -> str:
    """Name the column of the canonical table that the source's `column` became, or nothing."""
    named = {getattr(columns, option): own for option, own in _OWN[table].items() if getattr(columns, option)}
    return named.get(column, "")


def _other(frame: pl.DataFrame, table: str, column: str) -> list[object]:
    """Read a `column` that no option of the source names."""
    if table == "qrels":
        known = sorted({*_OWN["qrels"]})
        message = f"judgements have no column {column!r}{hint(column, known)}; there are: {listed(known)}"
        raise ConfigError(message)
    metadata = frame.get_column("metadata")
    if frame.height:
        require_columns(metadata, (column,), "partitions.column", "documents" if table == "corpus" else table)
    return metadata_values(metadata, (column,))[column]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _times(values: list[object], column: str) -> list[datetime | None]:
    try:
        return [time_of(value, column) for value in values]
    except BadRow as refused:
        message = f"partitions.column {column!r}: {refused.reason}, so it carries no periods of time"
        raise ConfigError(message) from refused
