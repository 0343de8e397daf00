"""Weigh the negatives of queries that are not well trained yet (after POT, arXiv 2309.13944; the form is ours)."""

import polars as pl
from pydantic import Field

from negset.mining.compactness import add_compactness
from negset.mining.rankers import rankers
from negset.mining.rules import RankersParams, rule, weigh


class CompactnessParams(RankersParams):
    """Whose scores are the views, and how much more a query without a margin weighs."""

    strength: float = Field(0.3, ge=0, allow_inf_nan=False, description="kappa: largest weight added to 1")
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False, description="tau: margin over which the weight falls")


@rule("compactness", kind="weigher", needs=["score{each}", "positive_score{each}"], params=CompactnessParams)
def compactness(candidates: pl.LazyFrame, params: CompactnessParams) -> pl.LazyFrame:
    """Weigh a candidate by 1 + `strength` * sigmoid(-c / `temperature`), c being its query's least margin over views.

    Miners and teachers are the views; see `negset.mining.compactness`. A query without any margin keeps its weights.
    """
    views = rankers(candidates.collect_schema().names(), params.named)
    distance = pl.col("_compactness") / params.temperature
    factor = 1 + params.strength / (1 + distance.clip(-500, 500).exp())
    return weigh(add_compactness(candidates, views), factor).drop("_compactness")
