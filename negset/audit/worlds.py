"""Worlds: copies of queries in which some of their positives are unknown, selected from as if they had never been.

A copy is a query of its own to the rules. It keeps the hashes of its query's id, so that chance draws as it would.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from negset.audit.evidence import Evidence
from negset.mining.recipe import BoundRecipe
from negset.mining.selection import select_blocks
from negset.mining.selection_inputs import SelectionInputs, draws_lots, needs_near_groups

ROWS: Final = 500_000
"""Candidates of copies that are selected from at once, about: some hundred megabytes."""


@dataclass(frozen=True)
class Worlds:
    """Copies of queries and what is unknown in each.

    `copies` has `copy` (counting from 0, in the order of `query`), `query` and `world`, a number that the caller
    gives; `hidden` has `copy` and `unit`.
    """

    copies: pl.DataFrame
    hidden: pl.DataFrame


def make_worlds(asked: pl.DataFrame, hidden: pl.DataFrame) -> Worlds:
    """Make a copy for each row of `asked` (`query`, `world`), in which the units of `hidden` of its world are unknown.

    `hidden` has `query`, `world` and `unit`.
    """
    copies = asked.select("query", "world").sort("query", "world").with_row_index("copy")
    return Worlds(copies, hidden.join(copies, on=["query", "world"]).select("copy", "unit"))


def relabel_block(block: pl.DataFrame, worlds: Worlds, evidence: Evidence) -> pl.DataFrame:
    """Give the candidate frame of the copies of `block`'s queries, as mining with their labels alone gives it.

    `query` is the copy. Lists are cut to the depth that fewer labels ask for; `is_positive` and every
    `positive_score` follow from the labels that are left.
    """
    copies = worlds.copies.filter(pl.col("query").is_in(block["query"].unique().implode()))
    labels = _left(evidence.labels, copies, worlds.hidden)
    scorers = [name for name in evidence.labels.columns if name.startswith("score_")]
    facts = labels.group_by("copy").agg(
        pl.len().cast(pl.Int32).alias("_labels"),
        *(pl.col(name).min().alias(f"positive_{name}") for name in scorers),
    )
    known = known_of(evidence, copies, worlds.hidden).with_columns(is_positive=pl.lit(value=True))
    frame = (
        copies.join(block.drop("is_positive", *facts.columns, strict=False), on="query", maintain_order="left_right")
        .join(facts, on="copy", how="left", maintain_order="left")
        .join(known.select("copy", "doc", "is_positive"), on=["copy", "doc"], how="left", maintain_order="left")
        .with_columns(pl.col("is_positive").fill_null(value=False), pl.col("_labels").fill_null(0))
    )
    if f"score_{evidence.by}" in evidence.labels.columns:
        frame = frame.with_columns(positive_score=pl.col(f"positive_score_{evidence.by}"))
    cut = _cut(frame, evidence).drop("query", "world", "_labels").rename({"copy": "query"})
    return cut.select(block.columns)


def forget_units(evidence: Evidence, units: pl.Series) -> Evidence:
    """Give the evidence of a build that never knew the `units`. A query without a label left is mined no longer."""
    labels, known = (
        frame.filter(~pl.col("unit").is_in(units.implode())) for frame in (evidence.labels, evidence.known)
    )
    labelled = labels["query"].unique()
    asked = evidence.queries.select("query", world=pl.lit(0)).filter(pl.col("query").is_in(labelled.implode()))
    worlds = make_worlds(
        asked,
        evidence.labels.select("query", "unit", world=pl.lit(0)).join(units.to_frame("unit"), on="unit", how="semi"),
    )
    worlds = Worlds(
        worlds.copies,
        evidence.known.join(units.to_frame("unit"), on="unit", how="semi")
        .join(worlds.copies, on="query")
        .select("copy", "unit")
        .unique(),
    )

    def blocks() -> Iterator[pl.DataFrame]:
        for block in evidence.blocks():
            frame = relabel_block(block, worlds, evidence)
            yield frame.with_columns(query=worlds.copies["query"].gather(frame["query"]))

    queries = evidence.queries.with_columns(asked=pl.col("asked") & pl.col("query").is_in(labelled.implode()))
    return replace(evidence, blocks=blocks, queries=queries, labels=labels, known=known)


def _left(pairs: pl.DataFrame, copies: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Give the `pairs` of each copy's query whose unit is not hidden from it."""
    return copies.select("copy", "query").join(pairs, on="query").join(hidden, on=["copy", "unit"], how="anti")


def known_of(evidence: Evidence, copies: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Give `copy` and `doc` of the pairs that are known to be positive in each of `copies`."""
    return _left(evidence.known, copies, hidden)


def _cut(frame: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """Cut the list of each miner to its depth and one document for each label that is left."""
    miners = list(evidence.depths)
    ranks = {
        f"rank_{miner}": pl.when(pl.col(f"rank_{miner}") <= depth + pl.col("_labels")).then(f"rank_{miner}")
        for miner, depth in evidence.depths.items()
    }
    first = pl.coalesce(*(pl.when(pl.col(f"rank_{miner}").is_not_null()).then(pl.lit(miner)) for miner in miners))
    cut = frame.with_columns(**ranks).filter(pl.any_horizontal(pl.col(list(ranks)).is_not_null()))
    # A teacher scores labels at any rank; it would not have looked at one that it did not know.
    seen = {
        f"score_{teacher}": pl.when(pl.col("is_positive") | pl.any_horizontal(pl.col(list(ranks)) <= depth)).then(
            f"score_{teacher}"
        )
        for teacher, depth in evidence.looked.items()
        if depth
    }
    cut = cut.with_columns(**seen)
    return cut.with_columns(rank=pl.col(f"rank_{evidence.by}"), miner=first.cast(frame.schema["miner"]))


def select_worlds(
    block: pl.DataFrame, worlds: Worlds, evidence: Evidence, recipes: list[BoundRecipe]
) -> Iterator[tuple[BoundRecipe, Worlds, pl.DataFrame, pl.DataFrame]]:
    """Yield the negatives and fates that each of `recipes` gives the copies of `block`'s queries, some at a time.

    With them comes the part of `worlds` that they are of; their `query_id` is the number of the copy there.
    """
    for piece in _pieces(block, worlds):
        frame = relabel_block(block, piece, evidence)
        for recipe in recipes:
            inputs = _inputs(piece, evidence, recipe)
            found = list(select_blocks([frame], inputs, recipe))
            negatives, fates = ([getattr(part, name) for part in found] for name in ("negatives", "fates"))
            yield recipe, piece, pl.concat(negatives), pl.concat(fates)


def _pieces(block: pl.DataFrame, worlds: Worlds) -> Iterator[Worlds]:
    """Cut the copies of `block`'s queries into runs of about ROWS candidates; copies are counted from 0 in each."""
    counts = block.group_by("query").len()
    copies = worlds.copies.join(counts, on="query", maintain_order="left")
    run = (copies["len"].cum_sum() // ROWS).alias("run")
    for _, piece in copies.with_columns(run).group_by("run", maintain_order=True):
        renamed = piece.select("copy", "query", "world").with_row_index("new")
        hidden = worlds.hidden.join(renamed, on="copy").select(pl.col("new").alias("copy"), "unit")
        yield Worlds(renamed.drop("copy").rename({"new": "copy"}), hidden)


def _inputs(worlds: Worlds, evidence: Evidence, recipe: BoundRecipe) -> SelectionInputs:
    """Give what selecting knows of the copies: each is a query that asks for negatives."""
    copies = worlds.copies
    near = np.zeros(0, np.uint64)
    group = evidence.near_group if needs_near_groups(recipe) else None
    if group is not None and recipe.reads("near_positive"):
        known = known_of(evidence, copies, worlds.hidden)
        packed = known["copy"].to_numpy().astype(np.uint64) << np.uint64(32) | group[known["doc"].to_numpy()]
        near = np.unique(packed)
    queries = copies.select(
        query=pl.col("copy"),
        query_id=pl.col("copy").cast(pl.String),
        split=evidence.queries["split"].gather(copies["query"]),
        asked=pl.lit(value=True),
        reason=pl.lit(None, dtype=pl.String),
    )
    keys = (evidence.query_keys[copies["query"].to_numpy()], evidence.doc_keys) if draws_lots(recipe) else None
    return SelectionInputs(queries, evidence.doc_ids, keys, group, near)
