"""Reject what a cross-encoder does not call irrelevant (RocketQA, arXiv 2010.08191)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, reject, rule, scored


class DenoiseParams(Params):
    """Who decides, and below what score a candidate is a confident negative."""

    by: str = Field("cross_encoder", description="teacher whose score decides; empty for the recipe's miner")
    threshold: float = Field(0.1, allow_inf_nan=False, description="score below which a candidate is kept")


@rule("denoise", kind="filter", needs=["score{by}"], params=DenoiseParams, suspects=True)
def denoise(candidates: pl.LazyFrame, params: DenoiseParams) -> pl.LazyFrame:
    """Reject a candidate that scores `threshold` or more, or has no score: only confident negatives stay."""
    score = scored("score", params.by)
    unsure = score > params.threshold - EPSILON
    return reject(candidates, unsure, "denoise", value=score, threshold=pl.lit(params.threshold))
