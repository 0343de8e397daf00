"""The flat view for trainers: query, positive, negative_1 … negative_n as texts, one file set for each split."""

import hashlib
import re
from pathlib import Path

import polars as pl

from negset.publishing.parts import cut, part_path
from negset.tables import Told, told_nobody, write_table
from negset.text import document_texts
from schemas.frames import ntuples_schema

TUPLE_ROWS = 50_000
"""Rows in a file before the next one is begun: they hold whole texts, so that this bounds memory."""

_SAFE_SPLIT = re.compile(r"^[a-z0-9][a-z0-9_]{0,62}$")


def write_tuples(
    queries: pl.DataFrame,
    documents: pl.DataFrame,
    positives: pl.DataFrame,
    negatives: pl.DataFrame,
    wanted: int,
    folder: Path,
    told: Told = told_nobody,
) -> dict[str, int]:
    """Write a row for each full query and positive below `folder`/data/ntuples/<split>; give rows by split.

    A pair counts only in its query's own split. Rows are in the order of query_id and doc_id of the positive.
    """
    texts = documents.select("doc_id", document_texts(documents))
    pairs = full_pairs(queries, positives, negatives, wanted)
    rows: dict[str, int] = {}
    for split in pairs.get_column("split").unique().sort().to_list():
        place = folder / "data" / "ntuples" / split_slug(split)
        place.mkdir(parents=True)
        here = pairs.filter(pl.col("split") == split)
        for number, part in enumerate(cut(here, "query_id", TUPLE_ROWS)):
            flat = flat_rows(part, texts, negatives, wanted)
            write_table(flat, "ntuples", part_path(place, number), schema=ntuples_schema(wanted), told=told)
        rows[split] = here.height
    return rows


def full_pairs(queries: pl.DataFrame, positives: pl.DataFrame, negatives: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """Give query_id, doc_id, split and the text `query` of each positive whose query has all negatives `wanted`."""
    return (
        positives.join(full_queries(negatives, wanted), on="query_id", how="semi")
        .join(queries.select("query_id", "split", query="text"), on=["query_id", "split"])
        .select("query_id", "doc_id", "split", "query")
        .sort("query_id", "doc_id")
    )


def negatives_wanted(fates: pl.DataFrame) -> int:
    """Give how many negatives the queries of `fates` asked for, 0 where there is none."""
    return int(fates.select(pl.col("wanted").max()).item() or 0)


def full_queries(negatives: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """Give the ids of the queries that have all negatives `wanted`."""
    counted = negatives.filter(pl.col("rank") <= wanted).group_by("query_id").len()
    return counted.filter(pl.col("len") >= max(wanted, 1)).select("query_id").sort("query_id")


def flat_rows(pairs: pl.DataFrame, texts: pl.DataFrame, negatives: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """Give query, positive and negative_1 to negative_`wanted` as texts, a row for each of `pairs`, in their order.

    The queries of `pairs` are full: they have each rank up to `wanted` once.
    """
    place = texts.select("doc_id", row=pl.int_range(pl.len(), dtype=pl.UInt32))
    ranked = (
        negatives.filter(pl.col("rank") <= wanted)
        .join(pairs, on="query_id", how="semi")
        .sort("query_id", "rank")
        .join(place, on="doc_id", how="left", maintain_order="left")
    )
    # Ranks of a query stand together, so that every `wanted`-th row is the next query's.
    asked = ranked.get_column("query_id").gather_every(max(wanted, 1))
    query_row = asked.search_sorted(pairs.get_column("query_id"))
    positive = pairs.join(place, on="doc_id", how="left", maintain_order="left").get_column("row")
    rows = {"positive": positive} | {
        f"negative_{rank}": ranked.get_column("row").gather_every(wanted, rank - 1).gather(query_row)
        for rank in range(1, wanted + 1)
    }
    text = texts.get_column("text")
    flat = pairs.select("query").with_columns(**{name: text.gather(row) for name, row in rows.items()})
    return flat.select(ntuples_schema(wanted).names)


def split_slug(split: str) -> str:
    """Give a folder name for `split` that is safe in paths and as a split of `datasets`, whatever its characters."""
    if _SAFE_SPLIT.match(split):
        return split
    plain = re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")[:40] or "split"
    return f"{plain}_{hashlib.sha256(split.encode()).hexdigest()[:8]}"
