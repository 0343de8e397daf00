"""How far several scorers disagree on a candidate: the spread of the places that they give it."""

import polars as pl

from negset.mining.rankers import lowest_positive, rankers
from negset.mining.rules import rule
from negset.mining.zoo import ZooParams, add_places, spread, voted


class VoteSpreadParams(ZooParams):
    """Who votes: the same as in `vote`."""


@rule("vote_spread", kind="scorer", needs=["score{each}"], params=VoteSpreadParams)
def vote_spread(candidates: pl.LazyFrame, params: VoteSpreadParams) -> pl.LazyFrame:
    """Score a candidate by the population standard deviation of its places, 0 for agreement, at most .5.

    Null where fewer than three scored it.
    """
    names = rankers(candidates.collect_schema().names(), params.named)
    placed, own = add_places(candidates, names)
    return (
        placed.with_columns(score_vote_spread=voted(own, spread(own)))
        .with_columns(positive_score_vote_spread=lowest_positive("score_vote_spread"))
        .drop(own)
    )
