"""What became of hidden positives under each recipe, and how hard its negatives are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from negset.audit.evidence import Evidence
from negset.audit.hiding import HidingPlan
from negset.audit.worlds import Worlds, make_worlds, select_worlds
from negset.mining.recipe import BoundRecipe
from negset.progress import Progress, no_progress

_BASE = -1
"""World in which nothing is hidden: the set as it would be published."""


@dataclass(frozen=True)
class Outcome:
    """What a recipe did.

    `hidden`: query, unit, world, parts, `gone` (units hidden from the query in that world), `returned`.
    `rounds`: query, world, parts, `negatives` chosen while something was hidden.
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
    """Select by each of `recipes` with nothing hidden and with what `plan` hides, and say what came of it."""
    asked = evidence.queries.filter("asked").select("query", world=pl.lit(_BASE, dtype=pl.Int32))
    worlds = make_worlds(pl.concat([asked, plan.worlds]), plan.hidden)
    parts: dict[str, list[Outcome]] = {recipe.name: [] for recipe in recipes}
    done, total = 0, asked.height
    for block in evidence.blocks():
        for recipe, piece, negatives, fates in select_worlds(block, worlds, evidence, list(recipes)):
            chosen = _with_copies(negatives, piece, evidence)
            parts[recipe.name].append(_outcome(recipe, piece, chosen, fates, evidence))
        done += block["query"].n_unique()
        progress("audit", min(done, total), total)
    return [_joined(recipe, parts[recipe.name], plan, asked["query"]) for recipe in recipes]


def _outcome(
    recipe: BoundRecipe, worlds: Worlds, chosen: pl.DataFrame, fates: pl.DataFrame, evidence: Evidence
) -> Outcome:
    """Say what choosing the negatives `chosen` did to the copies of `worlds`."""
    known = evidence.known.join(worlds.copies.select("copy", "query"), on="query").join(
        worlds.hidden, on=["copy", "unit"], how="semi"
    )
    back = known.join(chosen.select("copy", "doc"), on=["copy", "doc"], how="semi").select("copy", "unit").unique()
    hidden = (
        worlds.hidden.join(back.with_columns(returned=pl.lit(value=True)), on=["copy", "unit"], how="left")
        .with_columns(pl.col("returned").fill_null(value=False), gone=pl.len().cast(pl.Int32).over("copy"))
        .join(worlds.copies, on="copy")
        .select("query", "unit", "world", "gone", "returned")
    )
    rounds = chosen.filter(pl.col("world") != _BASE).group_by("query", "world").agg(negatives=pl.len().cast(pl.Int32))
    base = fates.select(pl.col("query_id").cast(pl.UInt32).alias("copy"), "wanted", "got").join(
        worlds.copies.filter(pl.col("world") == _BASE), on="copy"
    )
    return Outcome(
        recipe.name,
        hidden,
        rounds,
        chosen.filter(pl.col("world") == _BASE).select(
            "query", "doc", "miner", "miner_rank", "score", "positive_score"
        ),
        base.select("query", "wanted", "got"),
    )


def _with_copies(negatives: pl.DataFrame, worlds: Worlds, evidence: Evidence) -> pl.DataFrame:
    docs = pl.DataFrame({"doc_id": evidence.doc_ids}).with_row_index("doc")
    return (
        negatives.with_columns(pl.col("query_id").cast(pl.UInt32).alias("copy"), pl.col("miner").cast(pl.String))
        .join(worlds.copies, on="copy")
        .join(docs, on="doc_id")
    )


def _joined(recipe: BoundRecipe, parts: Iterable[Outcome], plan: HidingPlan, asked: pl.Series) -> Outcome:
    found = list(parts)
    hidden = pl.concat([part.hidden for part in found])
    fates = pl.concat([part.fates for part in found])
    missing = asked.filter(~asked.is_in(fates["query"].implode()))
    none = pl.DataFrame({"query": missing}).with_columns(
        wanted=pl.lit(recipe.wanted, dtype=pl.Int32), got=pl.lit(0, dtype=pl.Int32)
    )
    return Outcome(
        recipe.name,
        hidden.join(plan.hidden, on=["query", "unit", "world"]).sort("query", "world", "unit"),
        pl.concat([part.rounds for part in found])
        .join(plan.hidden.select("query", "world", "parts").unique(), on=["query", "world"])
        .sort("query", "world"),
        pl.concat([part.negatives for part in found]),
        pl.concat([fates, none]).sort("query"),
    )
