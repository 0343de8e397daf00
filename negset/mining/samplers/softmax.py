"""Draw survivors with chances that grow with their scores (Gumbel top-k, arXiv 1903.06059)."""

import polars as pl
from pydantic import Field

from negset.mining.draws import chance, choose, gumbel
from negset.mining.rules import ChanceParams, rule, scored, survives


class SoftmaxParams(ChanceParams):
    """How many are drawn, by whose scores and how sharply."""

    by: str = Field("", description="miner or scorer whose scores weigh; empty for the recipe's")
    temperature: float = Field(0.05, gt=0, allow_inf_nan=False, description="in units of score; near 0 is `top`")


@rule("softmax", kind="sampler", needs=["score{by}"], params=SoftmaxParams)
def softmax(candidates: pl.LazyFrame, params: SoftmaxParams) -> pl.LazyFrame:
    """Draw `k` survivors without replacement, weighted by exp(score / `temperature`).

    Weights stay logarithms, so none underflows. A survivor without a score has no chance, unless no survivor
    of its query has one: then all chances are equal. `sample_prob` is the chance to be drawn first.
    """
    score = pl.when(survives()).then(scored("score", params.by))
    equal = pl.when(survives() & score.is_null().all().over("query")).then(0.0)
    weight, share = pl.col("_weight"), pl.col("_share")
    weighed = candidates.with_columns(_weight=pl.coalesce(score / params.temperature, equal)).with_columns(
        _share=(weight - weight.max().over("query")).exp()
    )
    lot = weight + gumbel(chance(params.seed, "softmax"))
    chosen = choose(weighed, -lot, params.k, share / share.sum().over("query"), among=weight.is_not_null())
    return chosen.drop("_weight", "_share")
