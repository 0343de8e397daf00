"""Draw from the hardest survivors with equal chances (4 of the top 10 in NV-Retriever, arXiv 2407.15831)."""

import polars as pl
from pydantic import Field

from negset.mining.draws import chance, choose
from negset.mining.rules import ChanceParams, place, rule, survives


class WindowParams(ChanceParams):
    """How many are drawn, and from how many."""

    size: int = Field(10, ge=1, description="how many of the hardest survivors the draw is among")


@rule("window", kind="sampler", needs=["score"], params=WindowParams)
def window(candidates: pl.LazyFrame, params: WindowParams) -> pl.LazyFrame:
    """Draw `k` of the first `size` survivors uniformly without replacement."""
    among = place(survives()).fill_null(params.size + 1) <= params.size
    probability = (params.k / survives().sum().over("query").clip(upper_bound=params.size)).clip(upper_bound=1.0)
    return choose(candidates, chance(params.seed, "window"), params.k, probability, among=among)
