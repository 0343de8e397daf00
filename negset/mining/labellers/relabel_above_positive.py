"""Call positive what a teacher puts above the labelled positive (RLHN, arXiv 2505.16967, which asks LLMs instead)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, relabel, rule, scored


class RelabelAbovePositiveParams(Params):
    """Who decides, and how far above the positive a candidate must score."""

    by: str = Field("cross_encoder", description="teacher whose scores decide; empty for the recipe's miner")
    margin: float = Field(0.0, ge=0, allow_inf_nan=False, description="least distance above the lowest positive")
    least: float = Field(
        0.5, allow_inf_nan=False, description="score that is needed besides: the lowest of many positives is low"
    )


@rule(
    "relabel_above_positive",
    kind="labeller",
    needs=["score{by}", "positive_score{by}"],
    params=RelabelAbovePositiveParams,
)
def relabel_above_positive(candidates: pl.LazyFrame, params: RelabelAbovePositiveParams) -> pl.LazyFrame:
    """Call a candidate that scores at or above the positive plus `margin`, and `least`, a positive of the query.

    Of a query with several positives the lowest counts, which a weak teacher may put below much that is irrelevant;
    `least` keeps such candidates from becoming positives, and a filter after this rule from becoming negatives.
    Without either score it stays a candidate; what people judged stays as they judged it.
    """
    score = scored("score", params.by)
    above = scored("positive_score", params.by) + params.margin
    floor = pl.when(above.is_not_null()).then(pl.max_horizontal(above, pl.lit(params.least)))
    return relabel(candidates, score > floor - EPSILON, "relabel_above_positive", value=score, threshold=floor)
