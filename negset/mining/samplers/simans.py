"""Draw negatives about as hard as the positive (SimANS, arXiv 2210.11773)."""

from typing import Literal

import polars as pl
from pydantic import Field

from negset.mining.draws import chance, choose, gumbel
from negset.mining.rules import ChanceParams, place, rule, scored, survives


class SimansParams(ChanceParams):
    """How many are drawn, by whose scores, and which distance from the positive is likeliest."""

    by: str = Field("", description="miner or scorer whose scores weigh; empty for the recipe's")
    sharpness: float = Field(0.5, ge=0, allow_inf_nan=False, description="a: how fast chances fall; 0 for uniform")
    offset: float = Field(0.0, allow_inf_nan=False, description="b: likeliest distance above the positive")
    units: Literal["spread", "raw"] = Field(
        "spread", description="of a and b: the pool's standard deviation, or raw scores"
    )
    size: int = Field(100, ge=1, description="how many of the hardest survivors the draw is among")


@rule("simans", kind="sampler", needs=["score{by}", "positive_score{by}"], params=SimansParams)
def simans(candidates: pl.LazyFrame, params: SimansParams) -> pl.LazyFrame:
    """Draw `k` survivors without replacement, weighted by exp(-a (score - positive - b)²).

    The sign of b is that of the authors' README: a greater b makes harder negatives likelier. Spreads are
    population deviations of the pool, 1 where all score alike, so that a has a meaning for cosines too. Weights stay
    logarithms, so none underflows. Where no positive has a score the `k` easiest of the pool are taken, as in the
    authors' code, and `sample_prob` is null; else it is the chance to be drawn first. A survivor without a score
    has no chance.
    """
    score, positive = scored("score", params.by), scored("positive_score", params.by)
    weight, share = pl.col("_weight"), pl.col("_share")
    weighed = (
        candidates.with_columns(_in_pool=place(survives() & score.is_not_null(), params.by) <= params.size)
        .with_columns(_spread=_spread(score) if params.units == "spread" else pl.lit(1.0))
        .with_columns(_weight=_log_weight(score, positive, params))
        .with_columns(_share=(weight - weight.max().over("query")).exp())
    )
    lot = weight + gumbel(chance(params.seed, "simans"))
    first = pl.when(positive.is_null()).then(score).otherwise(-lot)
    probability = share / share.sum().over("query")
    chosen = choose(weighed, first, params.k, probability, among=pl.col("_in_pool").fill_null(value=False))
    return chosen.drop("_in_pool", "_spread", "_weight", "_share")


def _spread(score: pl.Expr) -> pl.Expr:
    spread = pl.when("_in_pool").then(score).std(ddof=0).over("query")
    return pl.when(spread > 0).then(spread).otherwise(1.0)


def _log_weight(score: pl.Expr, positive: pl.Expr, params: SimansParams) -> pl.Expr:
    distance = (score - positive) / pl.col("_spread") - params.offset
    return pl.when("_in_pool").then(-params.sharpness * distance.pow(2))
