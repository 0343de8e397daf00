"""Reject what people do not agree on (DICES, arXiv 2306.11247): it is no negative, and no positive either."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, reject, rule, scored


class AmbiguousVotesParams(Params):
    """How far people must agree."""

    by: str = Field("vote_agreement", description="teacher that says how far people agree on a pair")
    share: float = Field(0.8, gt=0, le=1, description="least share of the votes that must say the same")


@rule("ambiguous_votes", kind="filter", needs=["score{by}"], params=AmbiguousVotesParams, suspects=True)
def ambiguous_votes(candidates: pl.LazyFrame, params: AmbiguousVotesParams) -> pl.LazyFrame:
    """Reject a candidate on which fewer than `share` of the votes agree; what nobody voted on stays.

    Put it before a rule that relabels by votes.
    """
    agreement = scored("score", params.by)
    doubtful = (agreement < params.share - EPSILON).fill_null(value=False)
    return reject(candidates, doubtful, "ambiguous_votes", value=agreement, threshold=pl.lit(params.share))
