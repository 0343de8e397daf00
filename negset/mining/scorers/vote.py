"""Let several scorers vote on a candidate: the mean of the places that they give it, see `negset.mining.zoo`."""

import polars as pl

from negset.mining.rankers import lowest_positive, rankers
from negset.mining.rules import rule
from negset.mining.zoo import ZooParams, add_places, voted


class VoteParams(ZooParams):
    """Who votes."""


@rule("vote", kind="scorer", needs=["score{each}"], params=VoteParams)
def vote(candidates: pl.LazyFrame, params: VoteParams) -> pl.LazyFrame:
    """Score a candidate by the mean of the places that the scorers give it, from 0 (last) to 1 (first).

    Null where fewer than three scored it. `positive_score_vote` is the lowest of the query's known positives that
    somebody proposed.
    """
    names = rankers(candidates.collect_schema().names(), params.named)
    placed, own = add_places(candidates, names)
    return (
        placed.with_columns(score_vote=voted(own, pl.mean_horizontal(*own)))
        .with_columns(positive_score_vote=lowest_positive("score_vote"))
        .drop(own)
    )
