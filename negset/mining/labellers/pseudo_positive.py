"""Call positive what a cross-encoder is sure of (RocketQA, arXiv 2010.08191)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, relabel, rule, scored


class PseudoPositiveParams(Params):
    """Who decides, and above what score a candidate is called a positive."""

    by: str = Field("cross_encoder", description="teacher whose score decides; empty for the recipe's miner")
    threshold: float = Field(0.9, allow_inf_nan=False, description="score above which a candidate becomes a positive")


@rule("pseudo_positive", kind="labeller", needs=["score{by}"], params=PseudoPositiveParams)
def pseudo_positive(candidates: pl.LazyFrame, params: PseudoPositiveParams) -> pl.LazyFrame:
    """Call a candidate that scores above `threshold` a positive; what people judged stays as they judged it."""
    score = scored("score", params.by)
    sure = score > params.threshold + EPSILON
    return relabel(candidates, sure, "pseudo_positive", value=score, threshold=pl.lit(params.threshold))
