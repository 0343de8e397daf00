"""What a source held at some time: the newest versions that were known then, and nothing that came later.

Everything left out is counted in `LeftOut`. It is neither a bad row nor missing: a judgement of a document that is
left out goes with it.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from negset.errors import InputError, NoDataError
from negset.sources.tables import TIME, LeftOut, SourceTables
from schemas.config import SourceConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Documents:
    """The rows of the corpus that are left, and how many were not."""

    kept: pl.DataFrame
    later: int
    superseded: int
    undated: int


def known_tables(tables: SourceTables, source: SourceConfig) -> SourceTables:
    """Give the rows of `tables` that were known at `source.as_of`, the newest version of each document alone.

    Raises InputError where no document or no query was known then, and for undated documents where `source.undated`
    says so.
    """
    if not source.as_of and not source.columns.version_at:
        return tables
    documents = _known_documents(tables.corpus, source)
    queries = tables.queries.filter(_known("asked_at", source))
    judged = tables.qrels.filter(_known("judged_at", source))
    qrels = judged
    for key, all_rows, kept in (
        ("doc_id", tables.corpus, documents.kept),
        ("query_id", tables.queries, queries),
    ):
        gone = all_rows.join(kept, on=key, how="anti").select(key).unique()
        qrels = qrels.join(gone, on=key, how="anti", maintain_order="left")
    left_out = LeftOut(
        documents_later=documents.later,
        documents_superseded=documents.superseded,
        documents_undated=documents.undated,
        queries_later=tables.queries.height - queries.height,
        qrels_later=tables.qrels.height - judged.height,
        qrels_left_out=judged.height - qrels.height,
    )
    _check_some(tables, documents.kept, queries, source)
    _log.info("as of %s: %s", source.as_of or "the newest version", left_out)
    return replace(tables, corpus=documents.kept, queries=queries, qrels=qrels, left_out=left_out)


def _known_documents(corpus: pl.DataFrame, source: SourceConfig) -> _Documents:
    known = corpus.filter(_known("created_at", source) & _known("version_at", source))
    newest = _newest(known, source)
    dated = newest.filter(pl.col("created_at").is_not_null())
    undated = newest.height - dated.height
    if undated and source.as_of:
        _check_undated(newest, undated, source)
    dropped = undated if source.as_of and source.undated == "drop" else 0
    later, superseded = corpus.height - known.height, known.height - newest.height
    return _Documents(dated if dropped else newest, later, superseded, dropped)


def _newest(known: pl.DataFrame, source: SourceConfig) -> pl.DataFrame:
    """Give the rows of the newest version, each created at the document's first where it says nothing else."""
    if not source.columns.version_at:
        return known
    version = pl.col("version_at")
    newest = version.max() if source.versions == "dumps" else version.max().over("doc_id")
    first = version.min().over("doc_id")
    return (
        known.with_columns(created_at=pl.coalesce("created_at", first), _newest=newest == version)
        .filter("_newest")
        .drop("_newest")
    )


def _known(column: str, source: SourceConfig) -> pl.Expr:
    """Say of each row whether the time in `column` is not after `source.as_of`; what has no time is known."""
    if not source.as_of:
        return pl.lit(value=True)
    limit = pl.lit(datetime.fromisoformat(source.as_of), dtype=TIME)
    return (pl.col(column) <= limit).fill_null(value=True)


def _check_undated(documents: pl.DataFrame, undated: int, source: SourceConfig) -> None:
    """Raise InputError for documents that nothing dates, where `source` asks for it; else warn if that is all."""
    first = documents.filter(pl.col("created_at").is_null()).row(0, named=True)
    where = f"{undated} of {documents.height} documents have no date (first: {first['file']}:{first['line']})"
    if source.undated == "fail":
        message = (
            f"source.as_of is {source.as_of}, but {where}, so nobody can say whether they were known then. Name "
            f"their date's column in source.columns.created_at, or set source.undated to keep or drop"
        )
        raise InputError(message)
    if undated == documents.height:
        _log.warning("source.as_of is %s, but %s", source.as_of, where)


def _check_some(tables: SourceTables, documents: pl.DataFrame, queries: pl.DataFrame, source: SourceConfig) -> None:
    """Raise InputError where nothing is left as of `source.as_of`, saying when the first of it came."""
    for what, before, left, column in (
        ("document", tables.corpus, documents, "version_at" if source.columns.version_at else "created_at"),
        ("query", tables.queries, queries, "asked_at"),
    ):
        if before.height and not left.height:
            first = before.select(pl.col(column).min().dt.to_string("iso")).item()
            when = f"the earliest is of {first}" if first else f"none has a date ({column})"
            message = f"no {what} was known as of {source.as_of}; {when}"
            raise NoDataError(message)
