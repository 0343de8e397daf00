"""Mix hard and random negatives (STAR, arXiv 2104.08051; the ratio is our offline form of its in-batch half)."""

import math
from typing import Literal

import polars as pl
from pydantic import Field

from negset.mining.draws import chance, choose
from negset.mining.rules import ChanceParams, rule, survives


class MixtureParams(ChanceParams):
    """How many are drawn, and how many of them at random."""

    random_ratio: float = Field(0.5, ge=0, le=1, description="share of `k` drawn from the random miner's documents")
    hard: Literal["uniform", "top"] = Field("uniform", description="how the others are taken")


@rule("mixture", kind="sampler", needs=["score", "rank_random"], params=MixtureParams)
def mixture(candidates: pl.LazyFrame, params: MixtureParams) -> pl.LazyFrame:
    """Draw `k` * `random_ratio` (half up) survivors that the random miner proposed, the rest from the others.

    A document that another miner proposed too counts as random. Where one kind has too few, the query stays
    short: the other kind never fills the gap.
    """
    randoms = math.floor(params.k * params.random_ratio + 0.5)
    is_random = pl.col("rank_random").is_not_null()
    quota = pl.when(is_random).then(randoms).otherwise(params.k - randoms)
    lot = chance(params.seed, "mixture")
    by_lot = is_random | (params.hard == "uniform")
    first = pl.when(by_lot).then(lot).otherwise(-pl.col("score"))
    size = survives().sum().over("query", is_random)
    probability = pl.when(by_lot).then((quota / size).clip(upper_bound=1.0))
    return choose(candidates, first, quota, probability, pool=is_random)
