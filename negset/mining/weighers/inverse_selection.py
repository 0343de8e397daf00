"""Weigh a negative by its chance to have been judged (CET, arXiv 2209.05072; its offline, clipped form is ours)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import Params, rule, scored, survives, weigh
from negset.teaching.coupled import LARGEST_EXPONENT


class InverseSelectionParams(Params):
    """Whose selection scores are trusted, and how far weights may differ."""

    by: str = Field("selection", description="teacher that scores how likely annotators saw a pair")
    smoothing: float = Field(2.0, gt=0, allow_inf_nan=False, description="lambda: divides the score; larger is milder")
    most: float = Field(10.0, ge=1, allow_inf_nan=False, description="largest weight before the mean is set to 1")


@rule("inverse_selection", kind="weigher", needs=["score{by}"], params=InverseSelectionParams)
def inverse_selection(candidates: pl.LazyFrame, params: InverseSelectionParams) -> pl.LazyFrame:
    """Weigh a survivor by 1 / (1 - sigmoid(score / `smoothing`)), at most `most`, with mean 1 over the query.

    What annotators probably saw and did not label is a sure negative and weighs more. The formula is computed as
    1 + exp(x), with x cut at 8. What was rejected or has no score keeps its weight and is not in the mean.
    """
    exponent = (scored("score", params.by) / params.smoothing).clip(upper_bound=LARGEST_EXPONENT)
    factor = pl.when(survives()).then((1 + exponent.exp()).clip(1.0, params.most))
    weighed = candidates.with_columns(_factor=factor)
    return weigh(weighed, pl.col("_factor") / pl.col("_factor").mean().over("query")).drop("_factor")
