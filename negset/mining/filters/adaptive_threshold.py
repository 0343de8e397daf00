"""Reject what stands out from a query's own candidates (ATSS, arXiv 1912.02424; its use on rankings is ours)."""

from typing import Final, Literal

import polars as pl
from pydantic import Field

from negset.mining.rankers import rankers
from negset.mining.rules import EPSILON, RankersParams, reject, rule, survives

_LEAST: Final = 3
"""Candidates without which there is no threshold."""


class AdaptiveThresholdParams(RankersParams):
    """Whose scores are looked at, how much must stand out, and when a threshold means nothing."""

    size: int = Field(50, ge=3, description="first ranks of each miner whose scores make its threshold")
    deviations: float = Field(1.0, gt=0, allow_inf_nan=False, description="threshold above the mean, in deviations")
    gate: Literal["none", "positive"] = Field(
        "none", description="positive: reject only what also comes near the positive's score, where it has one"
    )
    nearness: float = Field(
        0.5, ge=0, allow_inf_nan=False, description="how far below the positive still is near it, in deviations"
    )
    min_deviation: float = Field(1e-3, ge=0, allow_inf_nan=False, description="least deviation of a pool, in scores")
    min_gap: float = Field(
        0.02, ge=0, allow_inf_nan=False, description="least mean score of what stands out over the rest, in scores"
    )


@rule("adaptive_threshold", kind="filter", needs=["score{each}"], params=AdaptiveThresholdParams, suspects=True)
def adaptive_threshold(candidates: pl.LazyFrame, params: AdaptiveThresholdParams) -> pl.LazyFrame:
    """Reject a candidate that scores its query's mean plus one standard deviation or more by one of the miners.

    Each miner (a level, in ATSS) has a threshold of its own, over the `size` first of its ranks that no earlier rule
    rejected: their mean plus `deviations` sample standard deviations (n - 1, as in the authors' code). It judges
    whatever it scored. It is skipped where the pool has fewer than three, hardly differs (`min_deviation`), or has
    nothing that stands out by `min_gap`, since a flat pool always has something above the threshold. Written down
    are the score and the threshold of the miner by whom the candidate stands out most, the first among equals.
    """
    names = rankers(candidates.collect_schema().names(), params.named)
    judged = candidates
    for name in names:
        judged = _judge(judged, name, params)
    judged = judged.with_columns(_most=pl.max_horizontal(*(f"_excess_{name}" for name in names)))
    decides = {name: pl.col(f"_excess_{name}") == pl.col("_most") for name in names}
    value = pl.coalesce(*(pl.when(here).then(f"score_{name}") for name, here in decides.items()))
    threshold = pl.coalesce(*(pl.when(here).then(f"_limit_{name}") for name, here in decides.items()))
    hit = pl.col("_most").is_not_null()
    own = ["_most", *(f"{column}_{name}" for name in names for column in ("_excess", "_limit"))]
    return reject(judged, hit, "adaptive_threshold", value=value, threshold=threshold).drop(own)


def _judge(candidates: pl.LazyFrame, name: str, params: AdaptiveThresholdParams) -> pl.LazyFrame:
    """Add the threshold of the miner `name`, and how many deviations above it a rejected candidate stands."""
    score, limit, spread = pl.col(f"score_{name}"), pl.col(f"_limit_{name}"), pl.col("_spread")
    columns = candidates.collect_schema().names()
    pooled = pl.when("_pool").then(score)
    above = score > limit - EPSILON
    gap = pl.when(above).then(pooled).mean().over("query") - pl.when(~above).then(pooled).mean().over("query")
    enough = (pooled.count().over("query") >= _LEAST) & (spread >= params.min_deviation)
    near = pl.lit(value=True)
    if params.gate == "positive" and f"positive_score_{name}" in columns:
        distance = pl.col(f"positive_score_{name}") - score
        near = (distance <= params.nearness * spread + EPSILON).fill_null(value=True)
    return (
        candidates.with_columns(_pool=_in_pool(name, params, columns))
        .with_columns(_spread=pooled.std(ddof=1).over("query"))
        .with_columns((pooled.mean().over("query") + params.deviations * spread).alias(f"_limit_{name}"))
        .with_columns(_usable=enough & (gap >= params.min_gap))
        .with_columns(pl.when(above & near & pl.col("_usable")).then((score - limit) / spread).alias(f"_excess_{name}"))
        .drop("_pool", "_spread", "_usable")
    )


def _in_pool(name: str, params: AdaptiveThresholdParams, columns: list[str]) -> pl.Expr:
    """Tell what makes the threshold. What this rule rejected counts, so that applying it twice is applying it once."""
    counted = survives() | (pl.col("rejected_by") == "adaptive_threshold")
    first = pl.col(f"rank_{name}") <= params.size if f"rank_{name}" in columns else pl.lit(value=True)
    return (counted & first).fill_null(value=False)
