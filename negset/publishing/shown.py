"""Choose what the browser of examples on the page holds, and gather it: bounded, and the same for the same set.

Three kinds of queries are shown, in this order while there is room: those of negatives drawn by lot, on which votes
make an estimate; some of each fate; and those whose negatives look most suspicious.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from negset.audit.sampling import draw_sample
from negset.publishing.examples import clipped
from negset.publishing.parts import as_strings, read_parts, scan_parts
from negset.publishing.sample import document_texts_of, labelled, lot
from negset.snapshot import Snapshot

LOTS_SEED: Final = 0
"""Of the draw of negatives to vote on; one seed for all sets, so that nobody can look for a pleasant one."""


@dataclass(frozen=True)
class Bounds:
    """How much the browser shows at the most."""

    negatives: int = 10_000
    characters: int = 5_000_000
    """Of the texts of documents, each counted once."""
    text: int = 420
    """Characters shown of a document."""
    drawn: int = 400
    """Negatives drawn by lot."""
    fates: int = 100
    """Queries of each fate that is not kept."""
    rejected: int = 2
    """Rejected candidates of each query and rule, the highest scores first."""
    lots_from: int = 20_000
    """Queries, chosen by the hash of their ids, among whose negatives is drawn: hashing millions would take long."""


BOUNDS: Final = Bounds()


@dataclass(frozen=True)
class Shown:
    """What is shown. Rows are of the tables, sorted by query; texts are by doc_id, clipped."""

    queries: pl.DataFrame
    """query_id, text, fate, reason, wanted, got, split."""
    positives: pl.DataFrame
    negatives: pl.DataFrame
    """As published, with `drawn`: the place in the draw from 0, null for those that were not drawn."""
    rejected: pl.DataFrame
    ends: pl.DataFrame
    """query_id, rejected_by (null for what survived and was not sampled), count: of every candidate."""
    texts: dict[str, str] = field(repr=False)
    all_nearer_than: float | None = None
    """Every negative of the set that scores less than this below its positive is shown; None if all are."""


def choose_shown(
    folder: Path,
    selection: Path,
    snapshot: Snapshot,
    fates: pl.DataFrame,
    negatives: pl.DataFrame,
    bounds: Bounds = BOUNDS,
) -> Shown:
    """Choose queries of the set staged in `folder` within `bounds` and gather what is shown of them.

    `fates` and `negatives` are tables of the set; of the latter the ids, rank, split, miner and both scores are read.
    """
    drawn = _draw(negatives, bounds)
    nearness = _nearness(negatives)
    order = _first([drawn.get_column("query_id").to_list(), _by_fate(fates, bounds), nearness["query_id"].to_list()])
    chosen = _within(order, negatives, bounds.negatives)
    shown = _gather(chosen, fates, folder, selection, snapshot, bounds)
    kept = _affordable(chosen, shown, bounds.characters)
    gaps = nearness.filter(~pl.col("query_id").is_in(kept)).get_column("gap").drop_nulls()
    frames = [
        _only(frame, kept) for frame in (shown.queries, shown.positives, shown.negatives, shown.rejected, shown.ends)
    ]
    pairs = drawn.with_row_index("drawn").select("query_id", "doc_id", "drawn")
    marked = frames[2].join(pairs, on=["query_id", "doc_id"], how="left", maintain_order="left")
    left_out = len(kept) < nearness.height
    nearest = float(gaps[0]) if left_out and len(gaps) else None
    return Shown(frames[0], frames[1], marked, frames[3], frames[4], shown.texts, nearest)


def _draw(negatives: pl.DataFrame, bounds: Bounds) -> pl.DataFrame:
    """Draw pairs as `negset audit --sample` does, from the negatives of queries that were chosen by lot."""
    ids = sorted(negatives.get_column("query_id").unique().to_list(), key=lot)[: bounds.lots_from]
    if not ids:
        return negatives.select("query_id", "doc_id").clear()
    return draw_sample(_only(negatives, ids), bounds.drawn, LOTS_SEED)


def _nearness(negatives: pl.DataFrame) -> pl.DataFrame:
    """Give each query with the gap of its most suspicious negative, the most suspicious query first."""
    gap = (pl.col("positive_score") - pl.col("score")).cast(pl.Float64)
    return negatives.group_by("query_id").agg(gap=gap.min()).sort("gap", "query_id", nulls_last=True)


def _by_fate(fates: pl.DataFrame, bounds: Bounds) -> list[str]:
    others = (fates.filter(pl.col("fate") == fate).get_column("query_id").to_list() for fate in ("short", "dropped"))
    return [query_id for ids in others for query_id in sorted(ids, key=lot)[: bounds.fates]]


def _first(lists: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(query_id for ids in lists for query_id in ids))


def _within(order: Sequence[str], negatives: pl.DataFrame, most: int) -> list[str]:
    """Give the ids of `order` up to the one with which there would be more than `most` negatives."""
    sizes = negatives.group_by("query_id").len("size")
    wanted = pl.DataFrame({"query_id": order}, schema={"query_id": pl.String})
    counted = wanted.join(sizes, on="query_id", how="left", maintain_order="left")
    room = pl.col("size").fill_null(0).cum_sum() <= most
    return counted.filter(room).get_column("query_id").to_list()


def _gather(
    ids: list[str], fates: pl.DataFrame, folder: Path, selection: Path, snapshot: Snapshot, bounds: Bounds
) -> Shown:
    wanted = pl.DataFrame({"query_id": ids}, schema={"query_id": pl.String})
    asked = snapshot.queries().select("query_id", "text")
    queries = fates.join(wanted, on="query_id", how="semi").join(asked, on="query_id").sort("query_id")
    positives = _positives(folder, snapshot, wanted)
    scan = scan_parts(folder, "negatives").filter(pl.col("query_id").is_in(ids))
    negatives = as_strings(scan.collect(engine="streaming")).sort("query_id", "rank", "doc_id")
    lost = _lost(selection, ids)
    rejected = lost.filter(pl.col("rejected_by").is_not_null())
    by_score = rejected.sort("query_id", "score", "doc_id", descending=[False, True, False], nulls_last=True)
    # Every rule keeps some: a strict one would else hide all others.
    best = by_score.filter(pl.int_range(pl.len()).over("query_id", "rejected_by") < bounds.rejected)
    ends = lost.group_by("query_id", "rejected_by").agg(count=pl.len().cast(pl.Int64))
    found = document_texts_of(snapshot, [positives, negatives, best])
    texts = {doc_id: clipped(text, bounds.text) for doc_id, text in found.items()}
    return Shown(queries, positives, negatives, best, ends.sort("query_id", "rejected_by", nulls_last=True), texts)


def _positives(folder: Path, snapshot: Snapshot, wanted: pl.DataFrame) -> pl.DataFrame:
    """Give query_id, doc_id, relevance, score and source: as published, and of dropped queries as labelled."""
    published = read_parts(folder, "positives").join(wanted, on="query_id", how="semi").drop("split")
    others = labelled(snapshot, wanted.join(published, on="query_id", how="anti"))
    unscored = others.select(
        "query_id",
        "doc_id",
        "relevance",
        pl.lit(None, dtype=published.schema["score"]).alias("score"),
        pl.lit("labelled").alias("source"),
    )
    return pl.concat([published, unscored]).sort("query_id", "doc_id")


def _lost(selection: Path, ids: list[str]) -> pl.DataFrame:
    """Give the candidates of the queries `ids` that are neither positives nor chosen."""
    # The list of scores is not shown of them, and reading it takes as long as all the rest.
    scan = scan_parts(selection, "candidates").drop("scores")
    lost = pl.col("rejected_by").is_not_null() | pl.col("position").is_null()
    found = scan.filter(pl.col("query_id").is_in(ids) & ~pl.col("is_positive") & lost).collect(engine="streaming")
    return as_strings(found)


def _affordable(ids: Sequence[str], shown: Shown, most: int) -> list[str]:
    """Give the first of `ids` whose documents have no more than `most` characters together, the first one always."""
    frames = (shown.positives, shown.negatives, shown.rejected)
    rows = pl.concat([frame.select("query_id", "doc_id") for frame in frames])
    documents = dict(rows.group_by("query_id").agg(pl.col("doc_id").unique()).iter_rows())
    seen: set[str] = set()
    spent, kept = 0, list[str]()
    for query_id in ids:
        new = set(documents.get(query_id, ())) - seen
        spent += sum(len(shown.texts.get(doc_id, "")) for doc_id in new)
        if spent > most and kept:
            break
        seen |= new
        kept.append(query_id)
    return kept


def _only(frame: pl.DataFrame, ids: Sequence[str]) -> pl.DataFrame:
    wanted = pl.DataFrame({"query_id": ids}, schema={"query_id": pl.String})
    return frame.join(wanted, on="query_id", how="semi", maintain_order="left")
