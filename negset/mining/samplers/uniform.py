"""Draw survivors with equal chances."""

import polars as pl

from negset.mining.draws import chance, choose
from negset.mining.rules import ChanceParams, rule, survives


class UniformParams(ChanceParams):
    """How many are drawn."""


@rule("uniform", kind="sampler", params=UniformParams)
def uniform(candidates: pl.LazyFrame, params: UniformParams) -> pl.LazyFrame:
    """Draw `k` survivors uniformly without replacement; `sample_prob` is the chance to be among them."""
    probability = (params.k / survives().sum().over("query")).clip(upper_bound=1.0)
    return choose(candidates, chance(params.seed, "uniform"), params.k, probability)
