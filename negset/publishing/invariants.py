"""What must hold between the rows of a version, whatever its gates were told to check: read from its files alone."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from negset.errors import ArtifactError
from negset.publishing.manifest import table_digest
from negset.publishing.parts import as_strings
from negset.tables import read_table
from schemas.frames import KEYS
from schemas.manifest import DataFile, Record, SetManifest

_QUERY_TABLES = ("positives", "negatives", "false_negatives", "diagnostics")
_DOCUMENT_TABLES = ("positives", "negatives", "false_negatives")


class BrokenRows(Record):
    """A promise that the rows of `table` break, and how."""

    table: str
    problem: str


def broken_rows(folder: Path, manifest: SetManifest) -> Iterator[BrokenRows]:
    """Give what the rows of the version in `folder` break: digests, counts, keys, references, ranks, weights.

    Its files must be those of `manifest` already, byte by byte. Raises ArtifactError for one that cannot be read.
    """
    tables: dict[str, list[pl.DataFrame]] = {}
    for file in manifest.files:
        rows = _read(folder, file)
        if table_digest(rows, file.table) != file.rows_sha256:
            yield BrokenRows(table=file.table, problem=f"the rows of {file.path} are not those of the manifest")
        tables.setdefault(file.table, []).append(as_strings(rows))
    whole = {table: pl.concat(parts) for table, parts in tables.items()}
    missing = sorted({"queries", "documents", "positives", "negatives", "fates"} - set(whole))
    for table in missing:
        yield BrokenRows(table=table, problem="the table is missing")
    for table, rows in whole.items():
        yield from _counts(table, rows, manifest)
        yield from _keys(table, rows)
    if not missing:
        yield from _references(whole)
        yield from _negatives(whole)


def _read(folder: Path, file: DataFile) -> pl.DataFrame:
    try:
        return read_table(folder / file.path)
    except pl.exceptions.PolarsError as error:
        message = f"{folder / file.path} cannot be read: {error}"
        raise ArtifactError(message) from error


def _counts(table: str, rows: pl.DataFrame, manifest: SetManifest) -> Iterator[BrokenRows]:
    counted = manifest.counts.rows.get(table)
    if counted != rows.height:
        yield BrokenRows(table=table, problem=f"has {rows.height:,} rows, the manifest counts {counted}")


def _keys(table: str, rows: pl.DataFrame) -> Iterator[BrokenRows]:
    key = list(KEYS[table])
    if not key:
        return
    if rows.select(key).is_duplicated().any():
        yield BrokenRows(table=table, problem=f"two rows have one key ({', '.join(key)})")
    if not rows.select(key).equals(rows.select(key).sort(key)):
        yield BrokenRows(table=table, problem=f"the rows are not in the order of their key ({', '.join(key)})")


def _references(whole: dict[str, pl.DataFrame]) -> Iterator[BrokenRows]:
    for tables, key, home in ((_QUERY_TABLES, "query_id", "queries"), (_DOCUMENT_TABLES, "doc_id", "documents")):
        for table in (table for table in tables if table in whole):
            lost = whole[table].join(whole[home], on=key, how="anti").get_column(key).unique().sort()
            if len(lost):
                yield BrokenRows(table=table, problem=f"{len(lost):,} {key} are not in {home}: {_some(lost)}")
    splits = whole["queries"].select("query_id", own="split")
    for table in (table for table in (*_QUERY_TABLES, "fates") if table in whole and table != "positives"):
        other = whole[table].join(splits, on="query_id").filter(pl.col("split") != pl.col("own"))
        if other.height:
            yield BrokenRows(table=table, problem=f"another split than the query's: {_some(other['query_id'])}")


def _negatives(whole: dict[str, pl.DataFrame]) -> Iterator[BrokenRows]:
    negatives = whole["negatives"]
    both = negatives.join(whole["positives"], on=["query_id", "doc_id"], how="semi")
    if both.height:
        pairs = both.select(pl.format("({}, {})", "query_id", "doc_id")).to_series()
        yield BrokenRows(table="negatives", problem=f"{both.height:,} are positives of their query: {_some(pairs)}")
    if negatives.select("query_id", "doc_id").is_duplicated().any():
        yield BrokenRows(table="negatives", problem="a document is twice a negative of one query")
    ranks = negatives.sort("query_id", "rank").with_columns(
        place=pl.int_range(1, pl.len() + 1).over("query_id", order_by="rank")
    )
    odd = ranks.filter(pl.col("rank") != pl.col("place"))
    if odd.height:
        yield BrokenRows(table="negatives", problem=f"ranks do not count from 1: {_some(odd['query_id'])}")
    weight = pl.col("weight")
    wrong = negatives.filter(~weight.is_finite() | (weight < 0))
    if wrong.height:
        yield BrokenRows(table="negatives", problem=f"weights below 0 or not finite: {_some(wrong['query_id'])}")
    got = negatives.group_by("query_id").agg(negatives=pl.len().cast(pl.Int64))
    fates = whole["fates"].join(got, on="query_id", how="left").with_columns(pl.col("negatives").fill_null(0))
    off = fates.filter(pl.col("got") != pl.col("negatives"))
    if off.height or got.join(fates, on="query_id", how="anti").height:
        yield BrokenRows(
            table="fates", problem=f"does not count the negatives that are there: {_some(off['query_id'])}"
        )


def _some(values: pl.Series) -> str:
    return ", ".join(str(value) for value in values.unique().sort().head(3))
