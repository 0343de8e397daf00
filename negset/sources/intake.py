"""Where the readers put what they read: rows of the three tables, and those that cannot be used."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import polars as pl

from negset.errors import InputError, hint
from negset.sources.quarantine import BadRow, Quarantine
from negset.sources.tables import CORPUS, QRELS, QUERIES, Rows, SourceTables
from negset.sources.values import id_of, metadata_of, optional_text_of, relevance_of, text_of, time_of
from schemas.config import ColumnsConfig, SourceConfig

Row = Mapping[str, object]
Add = Callable[[Row, str, int], None]
"""Take a row, the name of its file and its line; raise BadRow for a row that cannot be used."""
Needed = tuple[str, ...]
"""Columns without which a table cannot be read at all."""


@dataclass(frozen=True)
class Intake:
    """The tables of one source while it is read."""

    corpus: Rows
    queries: Rows
    qrels: Rows
    bad: Quarantine
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Count something that the reader passes over because the format says so."""
        self.notes[what] = self.notes.get(what, 0) + 1

    def tables(self) -> SourceTables:
        """Give what was read."""
        return SourceTables(
            corpus=self.corpus.frame(),
            queries=self.queries.frame(),
            qrels=self.qrels.frame(),
            quarantine=self.bad.frame(),
            rows_read=self.bad.rows_read,
            notes=self.notes,
        )


def new_intake(source: SourceConfig) -> Intake:
    """Give empty tables for `source`."""
    return Intake(corpus=Rows(CORPUS), queries=Rows(QUERIES), qrels=Rows(QRELS), bad=Quarantine(source))


class Adders(NamedTuple):
    """How rows of each of the three tables get into an intake."""

    document: Add
    query: Add
    judgement: Add


def adders(intake: Intake, columns: ColumnsConfig, split: str | None = None) -> Adders:
    """Bind the three tables of `intake` to `columns`, and to the `split` of rows that say none."""
    return Adders(
        lambda row, name, line: intake.corpus.add(document_row(row, columns, name, line)),
        lambda row, name, line: intake.queries.add(query_row(row, columns, name, line, split)),
        lambda row, name, line: intake.qrels.add(qrel_row(row, columns, name, line, split)),
    )


def take_tables(
    source: SourceConfig,
    files: tuple[list[str], list[str], list[str]],
    take: Callable[[str, Intake, Add, Needed], None],
) -> SourceTables:
    """Read `files` of corpus, queries and qrels, each by `take`, by the column names of `source`."""
    columns, intake = source.columns, new_intake(source)
    add = adders(intake, columns)
    corpus, queries, qrels = files
    dated = (columns.version_at,) if columns.version_at else ()
    for name in corpus:
        take(name, intake, add.document, (columns.doc_id, columns.doc_text, *dated))
    for name in queries:
        take(name, intake, add.query, (columns.query_id, columns.query_text))
    for name in qrels:
        take(name, intake, add.judgement, (columns.query_id, columns.doc_id))
    return intake.tables()


def take_frame(frame: pl.DataFrame, name: str, first: int, intake: Intake, add: Add) -> None:
    """Hand each row of `frame` to `add`; `first` is the number of its first row in the table `name`."""
    for line, row in enumerate(frame.iter_rows(named=True), first):
        intake.bad.rows_read += 1
        try:
            add(row, name, line)
        except BadRow as refused:
            intake.bad.add(name, line, refused, repr(row).encode())


def document_row(row: Row, columns: ColumnsConfig, file: str, line: int) -> tuple[object, ...]:
    """Give a row of the corpus from a `row` of a table; raise BadRow naming the column that is wrong."""
    used = (columns.doc_id, columns.doc_title, columns.doc_text, columns.created_at, columns.version_at)
    return (
        id_of(row.get(columns.doc_id), columns.doc_id),
        optional_text_of(row.get(columns.doc_title), columns.doc_title),
        text_of(row.get(columns.doc_text), columns.doc_text),
        time_of(row.get(columns.created_at), columns.created_at),
        _metadata(row, used),
        file,
        line,
        _version_of(row, columns.version_at),
    )


def query_row(row: Row, columns: ColumnsConfig, file: str, line: int, split: str | None) -> tuple[object, ...]:
    """Give a row of the queries from a `row` of a table; its own split column goes before `split`."""
    used = (columns.query_id, columns.query_text, columns.split, columns.asked_at)
    return (
        id_of(row.get(columns.query_id), columns.query_id),
        query_text_of(row.get(columns.query_text), columns.query_text),
        optional_text_of(row.get(columns.split), columns.split) or split,
        time_of(row.get(columns.asked_at), columns.asked_at),
        _metadata(row, used),
        file,
        line,
    )


def qrel_row(row: Row, columns: ColumnsConfig, file: str, line: int, split: str | None) -> tuple[object, ...]:
    """Give a row of the qrels from a `row` of a table; without a relevance column every row is a positive."""
    relevance = relevance_of(row[columns.relevance], columns.relevance) if columns.relevance in row else 1
    return (
        id_of(row.get(columns.query_id), columns.query_id),
        id_of(row.get(columns.doc_id), columns.doc_id),
        relevance,
        optional_text_of(row.get(columns.split), columns.split) or split,
        file,
        line,
        time_of(row.get(columns.judged_at), columns.judged_at),
    )


def query_text_of(value: object, column: str) -> str:
    """Give the text of a query, which may not be empty."""
    text = text_of(value, column)
    if not text.strip():
        raise BadRow(column=column, reason="empty query")
    return text


def _version_of(row: Row, column: str) -> datetime | None:
    """Give the time of a row's version; every row must have one where the configuration names its `column`."""
    version = time_of(row.get(column), column) if column else None
    if column and version is None:
        raise BadRow(column=column, reason="no time of this version")
    return version


def check_columns(shown: str, needed: Iterable[str], found: Iterable[str]) -> None:
    """Raise InputError where a table lacks columns, listing those it has and how to name others."""
    has = list(found)
    missing = [name for name in needed if name not in has]
    if missing:
        close = "".join(hint(name, has) for name in missing)
        message = (
            f"{shown} lacks the column {', '.join(map(repr, missing))}{close}; it has {', '.join(has) or 'none'}. "
            f"Say in [source.columns] which column holds what"
        )
        raise InputError(message)


def _metadata(row: Row, used: tuple[str, ...]) -> str | None:
    """Write the columns that are not `used`; a BEIR row's own `metadata` object is opened first."""
    other = {name: value for name, value in row.items() if name not in used}
    inner = other.get("metadata")
    if isinstance(inner, dict):
        other = {**{name: value for name, value in other.items() if name != "metadata"}, **inner}
    return metadata_of(other)
