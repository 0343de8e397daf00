"""Draw negatives that fool a ranker (AR2, arXiv 2110.03611; sampling by its reward is our offline form)."""

import polars as pl
from pydantic import Field

from negset.mining.draws import chance, choose, gumbel
from negset.mining.rules import ChanceParams, rule, scored, survives


class RewardParams(ChanceParams):
    """How many are drawn, whom they fool and how sharply."""

    by: str = Field("cross_encoder", description="ranker whose scores decide; empty for the recipe's miner")
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False, description="T: near 0 takes what fools most")


@rule("reward", kind="sampler", needs=["score{by}", "positive_score{by}"], params=RewardParams)
def reward(candidates: pl.LazyFrame, params: RewardParams) -> pl.LazyFrame:
    """Draw `k` survivors without replacement, weighted by exp(-reward / `temperature`).

    The reward is log sigmoid(positive - score), which the ranker wants high: the lower it is, the better the
    candidate fools the ranker. Put the rule `margin` by the same ranker before it, which keeps out what is likely a
    positive. A survivor without a score, or whose query's positive has none, has no chance. `sample_prob` is the
    chance to be drawn first.
    """
    gap = scored("score", params.by) - scored("positive_score", params.by)
    # -log sigmoid(-gap), written so that neither side overflows.
    loss = gap.clip(lower_bound=0.0) + (-gap.abs()).exp().log1p()
    weight, share = pl.col("_weight"), pl.col("_share")
    weighed = candidates.with_columns(_weight=pl.when(survives()).then(loss / params.temperature)).with_columns(
        _share=(weight - weight.max().over("query")).exp()
    )
    lot = weight + gumbel(chance(params.seed, "reward"))
    chosen = choose(weighed, -lot, params.k, share / share.sum().over("query"), among=weight.is_not_null())
    return chosen.drop("_weight", "_share")
