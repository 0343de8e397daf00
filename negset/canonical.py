"""Bring what a reader gave into canonical form: unique ids, no empty document, judgements that resolve.

Nothing disappears silently. For each table: rows read = rows kept + merged + set aside + left out (of another
time or licence), and `SnapshotFacts` shows each of these.
"""

import hashlib
import logging
import unicodedata
from dataclasses import asdict, dataclass
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from negset.errors import InputError, NoDataError
from negset.sources.quarantine import EMPTY, check_limit
from negset.sources.reading import split_order
from negset.sources.tables import QUARANTINE, SourceTables
from negset.text import document_texts, text_digests
from schemas.config import SourceConfig
from schemas.frames import CORPUS, KEYS, QRELS, QUERIES

NO_DOCUMENT: Final = "judgement of a document that the corpus lacks"
NO_QUERY: Final = "judgement for a query that the queries lack"
NUL: Final = "NUL in an id or a text"
_SHOWN: Final = 20

_log = logging.getLogger(__name__)


class SnapshotFacts(BaseModel):
    """What was read, what was kept, and what became of the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows_read: int
    """Rows met in the source's files, kept or not."""
    documents_read: int
    documents: int
    documents_merged: int
    """Rows that repeat a document: the same id and the same text."""
    documents_empty: int
    """Documents without title and text: kept out of the corpus, in quarantine."""
    queries_read: int
    queries: int
    queries_merged: int
    qrels_read: int
    qrels: int
    qrels_merged: int
    qrels_conflicting: int
    """Among those merged, rows with another relevance than the highest, which was kept."""
    qrels_of_empty_documents: int
    qrels_missing_document: int
    qrels_missing_query: int
    missing_documents: list[str]
    """The first 20 document ids that judgements name and the corpus lacks."""
    missing_queries: list[str]
    quarantined: int
    """Rows in quarantine, empty documents included."""
    queries_without_positive: int
    colliding_ids: int
    """Ids that differ only in Unicode composition (NFC) from another id of their table. They are kept apart."""
    splits: dict[str, int]
    """Queries of each split."""
    notes: dict[str, int]
    """What the format made the reader pass over."""
    documents_later: int = 0
    """Rows of documents, or of versions of them, from after `source.as_of`."""
    documents_superseded: int = 0
    """Rows of older versions of the corpus or of a document."""
    documents_undated: int = 0
    """Rows of documents without a date that `source.as_of` left out."""
    documents_unlicensed: int = 0
    """Rows of documents whose licence is none of `source.licences`."""
    queries_later: int = 0
    qrels_later: int = 0
    qrels_left_out: int = 0
    """Judgements of a query or document that is left out; none of them is missing or in quarantine."""


@dataclass(frozen=True)
class Canonical:
    """The four tables of a snapshot, in their registered columns, and what happened on the way."""

    corpus: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    quarantine: pl.DataFrame
    facts: SnapshotFacts


@dataclass(frozen=True)
class _Judged:
    """Judgements that resolve, and those that name a document or a query that is not there."""

    kept: pl.DataFrame
    no_document: pl.DataFrame
    no_query: pl.DataFrame


@dataclass(frozen=True)
class _Sorted:
    """The rows of a source, each where it belongs. `documents` and `queries` hold repeated ids still."""

    documents: pl.DataFrame
    nul_documents: pl.DataFrame
    queries: pl.DataFrame
    nul_queries: pl.DataFrame
    kept_documents: pl.DataFrame
    empty_documents: pl.DataFrame
    kept_queries: pl.DataFrame
    judged: _Judged


def canonical_tables(tables: SourceTables, source: SourceConfig) -> Canonical:
    """Bring `tables` into canonical form.

    Raises InputError where one id stands for two texts, naming both rows; where more rows are bad than `source`
    allows; or where no document or no query is left.
    """
    rows = _sorted(tables)
    quarantine = _quarantine(
        tables.quarantine,
        _refused(rows.empty_documents, EMPTY, None),
        _refused(rows.nul_documents, NUL, None),
        _refused(rows.nul_queries, NUL, None),
        _refused(rows.judged.no_query, NO_QUERY, "query_id"),
        _refused(rows.judged.no_document, NO_DOCUMENT, "doc_id"),
    )
    _check_limit(rows.judged, quarantine, tables.rows_read, source)
    _check_some(rows.kept_documents, rows.kept_queries)
    qrels = _highest(rows.judged.kept.join(rows.empty_documents, on="doc_id", how="anti"))
    facts = _facts(tables, rows, qrels, quarantine)
    documents, queries = _hashed_documents(rows.kept_documents), _hashed_queries(rows.kept_queries)
    return Canonical(documents, queries, qrels, quarantine, facts)


def _sorted(tables: SourceTables) -> _Sorted:
    documents, nul_documents = _without_nul(tables.corpus, ["doc_id", "title", "text"])
    queries, nul_queries = _without_nul(tables.queries, ["query_id", "text"])
    merged = _merged(documents, "doc_id", ["title", "text"])
    kept_queries = _merged(queries, "query_id", ["text"])
    kept, empty = _without_empty(merged)
    judged = _resolved(tables.qrels, merged, kept_queries)
    return _Sorted(documents, nul_documents, queries, nul_queries, kept, empty, kept_queries, judged)


def _facts(tables: SourceTables, rows: _Sorted, qrels: pl.DataFrame, quarantine: pl.DataFrame) -> SnapshotFacts:
    of_empty = rows.judged.kept.join(rows.empty_documents, on="doc_id", how="semi").height
    return SnapshotFacts(
        rows_read=tables.rows_read,
        documents_read=tables.corpus.height + tables.left_out.documents,
        documents=rows.kept_documents.height,
        documents_merged=rows.documents.height - rows.kept_documents.height - rows.empty_documents.height,
        documents_empty=rows.empty_documents.height,
        queries_read=tables.queries.height + tables.left_out.queries_later,
        queries=rows.kept_queries.height,
        queries_merged=rows.queries.height - rows.kept_queries.height,
        qrels_read=tables.qrels.height + tables.left_out.qrels,
        qrels=qrels.height,
        qrels_merged=rows.judged.kept.height - qrels.height - of_empty,
        qrels_conflicting=_conflicting(rows.judged.kept),
        qrels_of_empty_documents=of_empty,
        qrels_missing_document=rows.judged.no_document.height,
        qrels_missing_query=rows.judged.no_query.height,
        missing_documents=_first_ids(rows.judged.no_document, "doc_id"),
        missing_queries=_first_ids(rows.judged.no_query, "query_id"),
        quarantined=quarantine.height,
        queries_without_positive=_without_positive(rows.kept_queries, qrels),
        colliding_ids=_colliding(rows.kept_documents, "doc_id") + _colliding(rows.kept_queries, "query_id"),
        splits=dict(sorted(rows.kept_queries.get_column("split").value_counts().iter_rows())),
        notes=dict(tables.notes),
        **asdict(tables.left_out),
    )


def _resolved(qrels: pl.DataFrame, documents: pl.DataFrame, queries: pl.DataFrame) -> _Judged:
    no_query = qrels.join(queries, on="query_id", how="anti")
    rest = qrels.join(queries, on="query_id", how="semi")
    no_document = rest.join(documents, on="doc_id", how="anti")
    return _Judged(rest.join(documents, on="doc_id", how="semi"), no_document, no_query)


def _without_nul(frame: pl.DataFrame, columns: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that have a NUL character in one of `columns` from the rest."""
    has = pl.any_horizontal(pl.col(name).fill_null("").str.contains("\0", literal=True) for name in columns)
    return frame.filter(~has), frame.filter(has)


def _merged(frame: pl.DataFrame, key: str, texts: list[str]) -> pl.DataFrame:
    """Keep one row of each `key`, the same whatever the order of the rows, and check that its `texts` are equal.

    Of splits that differ the held-out one is kept.
    """
    repeated = frame.filter(pl.col(key).is_duplicated())
    if repeated.height:
        _check_same(repeated, key, texts)
    split = [split_order("split")] if "split" in frame.columns else []
    rest = [name for name in frame.columns if name not in ("file", "line")]
    return frame.sort([key, *split, *rest], nulls_last=True).unique(key, keep="first", maintain_order=True)


def _check_same(repeated: pl.DataFrame, key: str, texts: list[str]) -> None:
    """Raise InputError for the first `key` that stands for two different texts, naming both rows."""
    filled = [pl.col(name).fill_null("") for name in texts]
    distinct = pl.struct(filled).n_unique().over(key)
    different = repeated.filter(distinct > 1).sort(key, "file", "line", nulls_last=True)
    if not different.height:
        return
    first = different.row(0, named=True)
    others = different.filter(pl.col(key) == first[key]).iter_rows(named=True)
    other = next(row for row in others if any((row[name] or "") != (first[name] or "") for name in texts))
    ids = different.get_column(key).n_unique()
    more = f" ({ids - 1} more ids like it)" if ids > 1 else ""
    message = (
        f"{key} {first[key]!r} stands for two different texts: {first['file']}:{first['line']} and "
        f"{other['file']}:{other['line']}{more}. Give each text its own id, or remove the wrong row; "
        f"if they are versions of one document, name the column of their time as source.columns.version_at"
    )
    raise InputError(message)


def _without_empty(documents: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the documents that have neither title nor text; white space and zero-width characters are nothing."""
    both = pl.concat_str(pl.col("title").fill_null(""), "text")
    nothing = both.str.replace_all(r"[\s\p{Cf}\p{Cc}]", "").str.len_bytes() == 0
    return documents.filter(~nothing), documents.filter(nothing)


def _highest(qrels: pl.DataFrame) -> pl.DataFrame:
    """Keep one row of each query, document and split: the earliest of the highest relevance."""
    key = list(KEYS["qrels"])
    ordered = qrels.sort("relevance", "judged_at", descending=[True, False], nulls_last=[True, False])
    return ordered.unique(key, keep="first", maintain_order=True).select(QRELS.names).sort(key)


def _conflicting(qrels: pl.DataFrame) -> int:
    lower = pl.col("relevance") < pl.col("relevance").max().over(list(KEYS["qrels"]))
    return qrels.filter(lower).height


def _first_ids(qrels: pl.DataFrame, column: str) -> list[str]:
    return qrels.get_column(column).unique().sort().head(_SHOWN).to_list()


def _without_positive(queries: pl.DataFrame, qrels: pl.DataFrame) -> int:
    return queries.join(qrels.filter(pl.col("relevance") >= 1), on="query_id", how="anti").height


def _colliding(frame: pl.DataFrame, key: str) -> int:
    """Count the ids that are another id of `frame` once composed (NFC), and warn of them."""
    unusual = [each for each in frame.get_column(key) if not unicodedata.is_normalized("NFC", each)]
    composed = pl.Series(key, [unicodedata.normalize("NFC", each) for each in unusual], dtype=pl.String)
    known = pl.concat([frame.get_column(key), composed])
    count = len(known) - known.n_unique()
    if count:
        _log.warning("%d values of %s look like another one (they differ in Unicode composition alone)", count, key)
    return count


def _refused(rows: pl.DataFrame, reason: str, column: str | None) -> pl.DataFrame:
    """Give quarantine rows for `rows` that were read but cannot be used, hashed by their values."""
    values = rows.drop("file", "line").iter_rows()
    hashes = [hashlib.sha256(repr(row).encode()).hexdigest() for row in values]
    return rows.select(
        "file",
        "line",
        pl.lit(column, dtype=pl.String).alias("column"),
        pl.lit(reason).alias("reason"),
        pl.Series("sha256", hashes, dtype=pl.String),
    )


def _quarantine(*parts: pl.DataFrame) -> pl.DataFrame:
    """Join the `parts`, each bad row once."""
    return (
        pl.concat([part.select(list(QUARANTINE)) for part in parts]).unique(KEYS["quarantine"]).sort(KEYS["quarantine"])
    )


def _check_limit(judged: _Judged, quarantine: pl.DataFrame, rows_read: int, source: SourceConfig) -> None:
    """Raise InputError where too many rows are bad, saying first which ids judgements name in vain."""
    try:
        check_limit(quarantine, rows_read, source)
    except InputError as error:
        lost = [
            f"{part.height} judgements name {what} that are not there ({', '.join(_first_ids(part, key))})"
            for part, key, what in (
                (judged.no_document, "doc_id", "documents"),
                (judged.no_query, "query_id", "queries"),
            )
            if part.height
        ]
        if not lost:
            raise
        padding = ". If ids differ only in leading zeros, set source.id_width" if judged.no_document.height else ""
        message = f"{error}. {'; '.join(lost)}{padding}"
        raise InputError(message) from error


def _check_some(documents: pl.DataFrame, queries: pl.DataFrame) -> None:
    for frame, what in ((documents, "document"), (queries, "query")):
        if not frame.height:
            message = f"the source holds no {what}; check source.path and the names of its files"
            raise NoDataError(message)


def _hashed_documents(documents: pl.DataFrame) -> pl.DataFrame:
    return _hashed(documents, text_digests(document_texts(documents))).select(CORPUS.names)


def _hashed_queries(queries: pl.DataFrame) -> pl.DataFrame:
    return _hashed(queries, text_digests(queries.get_column("text"))).select(QUERIES.names)


def _hashed(frame: pl.DataFrame, digests: list[bytes]) -> pl.DataFrame:
    return frame.with_columns(pl.Series("text_sha256", digests, dtype=pl.Binary))
