"""Reject what scores above a fixed limit (TopK-Abs of NV-Retriever, arXiv 2407.15831)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, ScoreParams, reject, rule, scored


class MaxScoreParams(ScoreParams):
    """How high a candidate may score."""

    threshold: float = Field(0.7, allow_inf_nan=False, description="highest score that is kept")


@rule("max_score", kind="filter", needs=["score{by}"], params=MaxScoreParams, suspects=True)
def max_score(candidates: pl.LazyFrame, params: MaxScoreParams) -> pl.LazyFrame:
    """Reject a candidate scoring above `threshold`, or without a score."""
    score = scored("score", params.by)
    too_close = score > params.threshold + EPSILON
    return reject(candidates, too_close, "max_score", value=score, threshold=pl.lit(params.threshold))
