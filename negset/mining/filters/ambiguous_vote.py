"""Reject what several scorers do not clearly call a negative."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, reject, rule


class AmbiguousVoteParams(Params):
    """How low a clear negative stands."""

    negative: float = Field(0.3, ge=0, le=1, description="greatest mean place of a clear negative")


@rule("ambiguous_vote", kind="filter", needs=["score_vote"], params=AmbiguousVoteParams, suspects=True)
def ambiguous_vote(candidates: pl.LazyFrame, params: AmbiguousVoteParams) -> pl.LazyFrame:
    """Reject a candidate whose mean place is above `negative`, or on which there is no vote: only clear ones stay.

    It throws away what is hard, too. Needs the scorer `vote` before it.
    """
    mean = pl.col("score_vote")
    doubtful = mean > params.negative + EPSILON
    return reject(candidates, doubtful, "ambiguous_vote", value=mean, threshold=pl.lit(params.negative))
