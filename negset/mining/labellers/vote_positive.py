"""Call positive what several scorers agree to put first."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, relabel, rule


class VotePositiveParams(Params):
    """How high a positive stands, and how far the scorers may disagree."""

    mean: float = Field(0.8, ge=0, le=1, description="least mean place")
    spread: float = Field(0.15, ge=0, le=0.5, description="greatest standard deviation of the places")


@rule("vote_positive", kind="labeller", needs=["score_vote", "score_vote_spread"], params=VotePositiveParams)
def vote_positive(candidates: pl.LazyFrame, params: VotePositiveParams) -> pl.LazyFrame:
    """Call a candidate a positive whose mean place is `mean` or more and whose places spread by `spread` or less.

    Every query has first places, whether anything is relevant or not: so this makes a positive of something for
    nearly all of them. Needs the scorers `vote` and `vote_spread` before it.
    """
    mean, disagreement = pl.col("score_vote"), pl.col("score_vote_spread")
    clear = (mean >= params.mean - EPSILON) & (disagreement <= params.spread + EPSILON)
    return relabel(candidates, clear, "vote_positive", value=mean, threshold=pl.lit(params.mean))
