"""Read a source in any format into three tables, with splits and ids settled; and name what would be read."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, cast

import polars as pl

from negset.fingerprint import fingerprint, identity
from negset.partitions import partitioning
from negset.sources.known import known_tables
from negset.sources.licensed import licensed_tables
from negset.sources.sliced import sliced_tables
from negset.sources.tables import SourceTables
from negset.text import text_digest
from schemas.config import SourceConfig

VERSION = 2
"""Raised when a reader gives other rows for the same files."""

UNLABELLED = "unlabelled"
"""Split of a query that no judgement names, where the judgements come in named splits."""

_HELD_OUT = ("test", "dev", "validation", "valid", "val")


class Reader(Protocol):
    """What each module of a format offers; `OWN_SPLITS = True` too where it sees to `source.held_out` itself."""

    def read(self, source: SourceConfig) -> SourceTables:
        """Read the tables of `source`."""

    def contents(self, source: SourceConfig) -> dict[str, str]:
        """Hash every file that `read` would read, by name."""


def read_source(source: SourceConfig) -> SourceTables:
    """Read `source`; every query and judgement gets a split, document ids the configured width.

    Of a source as of some time, what came later is left out before anything is concluded from the rows, and so are
    documents whose licence is not wanted.
    Raises InputError naming file and line where the source is not what it is said to be, NoDataError where the
    rows that it asks for are not there.
    """
    return settled_tables(read_files(source), source)


def read_files(source: SourceConfig) -> SourceTables:
    """Read all rows of the files of `source`, whatever its slice, time and licences say."""
    return _reader(source).read(source)


def settled_tables(read: SourceTables, source: SourceConfig) -> SourceTables:
    """Give what `source` asks for of the rows that were `read` from its files, splits and ids settled."""
    padded = sliced_tables(_padded(read, source.id_width), source)
    settled = _with_splits(licensed_tables(known_tables(padded, source), source), source.split)
    return settled if getattr(_reader(source), "OWN_SPLITS", False) else _held_out(settled, source)


def source_fingerprint(source: SourceConfig, contents: Mapping[str, str] | None = None) -> str:
    """Name a snapshot of `source`: the bytes of every file it would read, its options and how its corpus is cut.

    Where the files lie is not part of it, nor are their times. `contents` are their digests, where they are known.
    """
    options = {name: value for name, value in identity(source).items() if name != "path"}
    known = file_contents(source) if contents is None else contents
    return fingerprint("snapshot", VERSION, options, partitioning(source), known)


def file_contents(source: SourceConfig) -> dict[str, str]:
    """Hash every file that `source` would be read from, by name."""
    return _reader(source).contents(source)


def _reader(source: SourceConfig) -> Reader:
    # By name, so that a build of Parquet files does not wait for the import of `datasets`.
    return cast("Reader", importlib.import_module(f"negset.sources.{source.format}"))


def _padded(tables: SourceTables, width: int) -> SourceTables:
    """Pad the number at the end of every document id with zeros to `width` digits."""
    if not width:
        return tables
    number = pl.col("doc_id").str.extract(r"([0-9]+)$", 1)
    head = pl.col("doc_id").str.strip_suffix(number)
    padded = pl.when(number.is_null()).then(pl.col("doc_id")).otherwise(head + number.str.zfill(width))
    return _replaced(tables, corpus=tables.corpus.with_columns(padded), qrels=tables.qrels.with_columns(padded))


def _with_splits(tables: SourceTables, split: str) -> SourceTables:
    """Fill the splits that a format left open.

    A query takes the split of its judgements (of several, a held-out one, so that nothing held out is trained
    on); one that no judgement names is `unlabelled` where judgements have named splits, else of `split`.
    A judgement takes the split of its query.
    """
    named = tables.qrels.filter(pl.col("split").is_not_null())
    judged = (
        named.select("query_id", "split")
        .unique()
        .sort(split_order("split"), "split")
        .group_by("query_id", maintain_order=True)
        .agg(pl.col("split").first().alias("judged_split"))
    )
    rest = UNLABELLED if named.height else split
    queries = (
        tables.queries.join(judged, on="query_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce("split", "judged_split", pl.lit(rest)).alias("split"))
        .drop("judged_split")
    )
    return _replaced(tables, queries=queries, qrels=_split_of_query(tables.qrels, queries, split))


def split_order(column: str) -> pl.Expr:
    """Order splits: the held-out ones first."""
    return pl.col(column).replace_strict(
        list(_HELD_OUT), list(range(len(_HELD_OUT))), default=len(_HELD_OUT), return_dtype=pl.Int32
    )


def _split_of_query(qrels: pl.DataFrame, queries: pl.DataFrame, split: str) -> pl.DataFrame:
    """Give every judgement without a split that of its query."""
    if not qrels.get_column("split").null_count():
        return qrels
    known = queries.sort(split_order("split"), "split").unique("query_id", keep="first", maintain_order=True)
    return (
        qrels.join(
            known.select("query_id", pl.col("split").alias("query_split")),
            on="query_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.coalesce("split", "query_split", pl.lit(split)).alias("split"))
        .drop("query_split")
    )


def _held_out(tables: SourceTables, source: SourceConfig) -> SourceTables:
    """Move the configured share of the queries of `source.split` to `test`, with their judgements.

    The text decides, so one query text under two ids is never on both sides.
    """
    if not source.held_out:
        return tables
    edge = int(source.held_out * 2**64)
    moved = [
        split == source.split and int.from_bytes(text_digest(text)[:8], "big") < edge
        for text, split in tables.queries.select("text", "split").iter_rows()
    ]
    chosen = pl.Series("moved", moved, dtype=pl.Boolean)
    ids = tables.queries.filter(chosen).get_column("query_id").unique()
    test = pl.lit("test")
    theirs = pl.col("query_id").is_in(ids.implode()) & (pl.col("split") == source.split)
    return _replaced(
        tables,
        queries=tables.queries.with_columns(pl.when(chosen).then(test).otherwise("split").alias("split")),
        qrels=tables.qrels.with_columns(pl.when(theirs).then(test).otherwise("split").alias("split")),
    )


def _replaced(
    tables: SourceTables,
    corpus: pl.DataFrame | None = None,
    queries: pl.DataFrame | None = None,
    qrels: pl.DataFrame | None = None,
) -> SourceTables:
    return replace(
        tables,
        corpus=tables.corpus if corpus is None else corpus,
        queries=tables.queries if queries is None else queries,
        qrels=tables.qrels if qrels is None else qrels,
    )
