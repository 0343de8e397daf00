"""How hard a set's negatives are, and how many known positives its thresholds would have let through."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from negset.mining.rules import EPSILON
from negset.publishing.distributions import spread
from negset.publishing.html import Html, joined, tag, text
from negset.publishing.tables import table
from schemas.expectations import ScoreLimit

NEAR = 0.05
"""A negative this share of the positive's score below it, or less, is called near."""


@dataclass(frozen=True)
class LetThrough:
    """Known positives of queries that have several, and how many of them the thresholds would let through."""

    tested: int
    passed: int


def hardness_table(negatives: pl.DataFrame) -> Html:
    """Give for each miner how far its `negatives` score below their positives and how high they stood in its list."""
    gaps = negatives.with_columns(gap=pl.col("positive_score") - pl.col("score"))
    miners = sorted(gaps.get_column("miner").unique().to_list())
    groups = [("all", gaps), *((miner, gaps.filter(pl.col("miner") == miner)) for miner in miners if len(miners) > 1)]
    head = ("miner", "negatives", "gap, 5 %", "median", "95 %", "near", "at or above", "rank in list, median")
    return table("Hardness of the negatives by miner", head, [_hardness_row(name, part) for name, part in groups])


def _hardness_row(name: str, part: pl.DataFrame) -> list[str]:
    gap = part.get_column("gap")
    near = part.select((pl.col("gap") <= NEAR * pl.col("positive_score").abs()).mean()).item()
    above = part.select((pl.col("gap") <= 0).mean()).item()
    _, rank, _ = spread(part.get_column("miner_rank"))
    return [
        name,
        f"{part.height:,}",
        *("" if math.isnan(value) else f"{value:.4f}" for value in spread(gap)),
        *("" if share is None else f"{share:.1%}" for share in (near, above)),
        "" if math.isnan(rank) else f"{rank:g}",
    ]


def let_through(positives: pl.DataFrame, limits: Sequence[ScoreLimit]) -> LetThrough:
    """Test each of the `positives` (query_id, score) as if nobody had labelled it and the rest were all that is known.

    It is let through if it is among the candidates, so has a score, and no one of `limits` on its score, taken from
    the lowest other positive, rejects it. Queries with one positive test nothing.
    """
    several = positives.filter(pl.len().over("query_id") > 1).sort("query_id", "score", nulls_last=True)
    ranked = several.with_columns(
        place=pl.int_range(pl.len()).over("query_id"),
        lowest=pl.col("score").first().over("query_id"),
        second=pl.col("score").get(1, null_on_oob=True).over("query_id"),
    ).with_columns(other=pl.when(pl.col("place") == 0).then("second").otherwise("lowest"))
    score, other = pl.col("score").cast(pl.Float64), pl.col("other").cast(pl.Float64)
    rejected = pl.any_horizontal(pl.lit(value=False), *(_rejects(limit, score, other) for limit in limits))
    passed = ranked.select((score.is_not_null() & rejected.not_()).fill_null(value=False).sum()).item()
    return LetThrough(several.height, int(passed))


def _rejects(limit: ScoreLimit, score: pl.Expr, positive: pl.Expr) -> pl.Expr:
    ceilings = {
        "max_score": pl.lit(limit.value),
        "margin": positive - limit.value,
        "percent_of_positive": positive - positive.abs() * (1 - limit.value),
    }
    return score > ceilings[limit.kind] + EPSILON


def false_negative_note(found: LetThrough, limits: Sequence[ScoreLimit], suspected: int) -> Html:
    """Say what is known of false negatives without anybody's vote, and how to measure the rest."""
    rules = ", ".join(f"{limit.kind} {limit.value:g}" for limit in limits)
    estimate = (
        "No query has two positives, so the labels tell nothing of those that nobody labelled."
        if not found.tested
        else "The recipe sets no threshold on the score, so an unlabelled positive that is mined can be chosen."
        if not limits
        else f"Had nobody labelled them, the thresholds ({rules}) would have let {found.passed:,} of "
        f"{found.tested:,} known positives through ({found.passed / found.tested:.1%}): at most so many unlabelled "
        "positives become negatives."
    )
    return joined(
        tag("p", text(estimate)),
        tag("p", text(f"{suspected:,} pairs that a rule suspects are published as false negatives, to be masked.")),
        tag(
            "p",
            text("To measure: vote on the negatives drawn by lot below and read the file with "),
            tag("code", text("negset audit SET --votes FILE")),
            text(", or hide known positives with "),
            tag("code", text("negset audit CONFIG")),
            text("."),
            class_="quiet",
        ),
    )
