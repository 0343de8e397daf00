"""Reject what scores within a margin of the positive (TopK-MarginPos of NV-Retriever, arXiv 2407.15831)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, ScoreParams, reject, rule, scored


class MarginParams(ScoreParams):
    """How far below the positive a candidate must score."""

    margin: float = Field(0.05, ge=0, allow_inf_nan=False, description="least distance to the lowest positive's score")


@rule("margin", kind="filter", needs=["score{by}", "positive_score{by}"], params=MarginParams, suspects=True)
def margin(candidates: pl.LazyFrame, params: MarginParams) -> pl.LazyFrame:
    """Reject a candidate less than `margin` below the positive; without either score too."""
    score = scored("score", params.by)
    ceiling = scored("positive_score", params.by) - params.margin
    return reject(candidates, score > ceiling + EPSILON, "margin", value=score, threshold=ceiling)
