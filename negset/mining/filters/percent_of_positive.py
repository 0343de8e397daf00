"""Reject what scores above a share of the positive's score (TopK-PercPos of NV-Retriever, arXiv 2407.15831)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, ScoreParams, reject, rule, scored


class PercentOfPositiveParams(ScoreParams):
    """How much of the positive's score a candidate may reach."""

    share: float = Field(0.95, gt=0, le=1, description="highest share of the lowest positive's score that is kept")


@rule(
    "percent_of_positive",
    kind="filter",
    needs=["score{by}", "positive_score{by}"],
    params=PercentOfPositiveParams,
    suspects=True,
)
def percent_of_positive(candidates: pl.LazyFrame, params: PercentOfPositiveParams) -> pl.LazyFrame:
    """Reject a candidate above `share` of the positive's score; without either score too.

    The ceiling is p - |p| (1 - share), which lies below p whatever its sign; share * p would not.
    """
    score, positive = scored("score", params.by), scored("positive_score", params.by)
    ceiling = positive - positive.abs() * (1 - params.share)
    return reject(candidates, score > ceiling + EPSILON, "percent_of_positive", value=score, threshold=ceiling)
