"""What became of hidden positives under each recipe, and how hard its negatives are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from negset.audit.evidence import Evidence
from negset.audit.hiding import HidingPlan
from negset.audit.worlds import Worlds, make_worlds, select_worlds
from negset.errors import ConfigError
from negset.mining.recipe import BoundRecipe
from negset.progress import Progress, no_progress

BASE: Final = -1
"""World in which nothing is hidden: the set as it would be published."""
UNLISTED: Final = "not proposed"
"""Stands for the miner of a positive that none of them proposed."""


@dataclass(frozen=True)
class Outcome:
    """What a recipe did.

    `hidden`: query, unit, world, parts, `gone` (units hidden from the query in that world), `returned`.
    `rounds`: query, world, parts, `negatives` chosen and how many of them were `hidden` positives.
    `negatives`: query, doc, miner, miner_rank, score, positive_score of the set itself, nothing hidden.
    `fates`: query, wanted, got of the set itself, a row for every query that asks for negatives.
    """

    recipe: str
    hidden: pl.DataFrame
    rounds: pl.DataFrame
    negatives: pl.DataFrame
    fates: pl.DataFrame


def audit_recipes(
    evidence: Evidence, recipes: Sequence[BoundRecipe], plan: HidingPlan, progress: Progress = no_progress
) -> list[Outcome]:
    """Select by each of `recipes` with nothing hidden and with what `plan` hides, and say what came of it.

    `recipes` have names of their own.
    """
    asked = evidence.queries.filter("asked").select("query", world=pl.lit(BASE, dtype=pl.Int32))
    worlds = make_worlds(pl.concat([asked, plan.worlds]), plan.hidden)
    parts: dict[str, list[Outcome]] = {recipe.name: [] for recipe in recipes}
    done, total = 0, asked.height
    if not total:
        message = "no query asks for negatives: none of mine.splits has a label, or all of them leak"
        raise ConfigError(message)
    for block in evidence.blocks():
        for recipe, piece, negatives, fates in select_worlds(block, worlds, evidence, list(recipes)):
            chosen = _with_copies(negatives, piece, evidence)
            parts[recipe.name].append(_outcome(recipe, piece, chosen, fates, evidence))
        done += block["query"].n_unique()
        progress("audit", min(done, total), total)
    return [_joined(recipe, parts[recipe.name], plan, asked["query"]) for recipe in recipes]


def proposers(evidence: Evidence) -> pl.DataFrame:
    """Give `query`, `unit` and the first `miner` that proposed one of the unit's pairs; no row where none did."""
    found = [
        block.select("query", "doc", pl.col("miner").to_physical().alias("place"), pl.col("miner").cast(pl.String))
        .join(evidence.known, on=["query", "doc"])
        .sort("query", "unit", "place")
        .unique(["query", "unit"], keep="first", maintain_order=True)
        .select("query", "unit", "miner")
        for block in evidence.blocks()
    ]
    empty = evidence.known.clear().select("query", "unit", miner=pl.lit("", dtype=pl.String))
    return pl.concat([empty, *found])


def _outcome(
    recipe: BoundRecipe, worlds: Worlds, chosen: pl.DataFrame, fates: pl.DataFrame, evidence: Evidence
) -> Outcome:
    """Say what choosing the negatives `chosen` did to the copies of `worlds`."""
    copies = worlds.copies.select("copy", "query")
    unknown = evidence.known.join(copies, on="query").join(worlds.hidden, on=["copy", "unit"], how="semi")
    false = chosen.select("copy", "doc").join(unknown, on=["copy", "doc"])
    back = false.select("copy", "unit").unique().with_columns(returned=pl.lit(value=True))
    hidden = (
        worlds.hidden.join(back, on=["copy", "unit"], how="left", maintain_order="left")
        .with_columns(pl.col("returned").fill_null(value=False), gone=pl.len().cast(pl.Int32).over("copy"))
        .join(worlds.copies, on="copy", maintain_order="left")
        .select("query", "unit", "world", "gone", "returned")
    )
    counts = chosen.group_by("copy").agg(negatives=pl.len().cast(pl.Int32))
    rounds = (
        worlds.copies.filter(pl.col("world") != BASE)
        .join(counts, on="copy", how="left")
        .join(false.group_by("copy").agg(hidden=pl.len().cast(pl.Int32)), on="copy", how="left")
        .select("query", "world", pl.col("negatives", "hidden").fill_null(0))
    )
    base = worlds.copies.filter(pl.col("world") == BASE)
    own = fates.select(pl.col("query_id").cast(pl.UInt32).alias("copy"), "wanted", "got").join(base, on="copy")
    negatives = chosen.filter(pl.col("world") == BASE)
    return Outcome(
        recipe.name,
        hidden,
        rounds,
        negatives.select("query", "doc", "miner", "miner_rank", "score", "positive_score"),
        own.select("query", "wanted", "got"),
    )


def _with_copies(negatives: pl.DataFrame, worlds: Worlds, evidence: Evidence) -> pl.DataFrame:
    docs = pl.DataFrame({"doc_id": evidence.doc_ids}).with_row_index("doc")
    coded = negatives.with_columns(pl.col("query_id").cast(pl.UInt32).alias("copy"), pl.col("miner").cast(pl.String))
    return coded.join(worlds.copies, on="copy").join(docs, on="doc_id")


def _joined(recipe: BoundRecipe, parts: Sequence[Outcome], plan: HidingPlan, asked: pl.Series) -> Outcome:
    """Put the `parts` together; a query of `asked` without any candidate got nothing."""
    fates = [part.fates for part in parts]
    found = pl.concat(fates)["query"]
    none = pl.DataFrame({"query": asked.filter(~asked.is_in(found.implode()))}).with_columns(
        wanted=pl.lit(recipe.wanted, dtype=pl.Int32), got=pl.lit(0, dtype=pl.Int32)
    )
    worlds = plan.hidden.select("query", "world", "parts").unique()
    keys = ["query", "world"]
    hidden = plan.hidden.join(pl.concat([part.hidden for part in parts]), on=[*keys, "unit"])
    return Outcome(
        recipe.name,
        hidden.sort("query", "world", "unit"),
        pl.concat([part.rounds for part in parts]).join(worlds, on=keys).sort(keys),
        pl.concat([part.negatives for part in parts]).sort("query", "doc"),
        pl.concat([*fates, none]).sort("query"),
    )
