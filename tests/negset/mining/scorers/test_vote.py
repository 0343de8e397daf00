import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from negset.errors import MissingColumnsError
from negset.mining.scorers.vote import VoteParams, vote

THREE = "dense,bm25,cross_encoder"


def votes(frame, miners=THREE):
    return vote(frame.lazy(), VoteParams(miners=miners)).collect()["score_vote"].to_list()


def test_places_run_from_0_to_1_and_their_mean_is_the_vote(candidates):
    frame = candidates([0.9, 0.8, 0.7], score_bm25=[3.0, 5.0, 1.0], score_cross_encoder=[0.1, 0.2, 0.3])
    assert votes(frame) == pytest.approx([(1 + 0.5 + 0) / 3, (0.5 + 1 + 0.5) / 3, (0 + 0 + 1) / 3], abs=1e-6)


@given(
    scores=st.lists(st.integers(-5, 5), min_size=1, max_size=9),
    scale=st.sampled_from([1e-3, 1.0, 1000.0]),
    shift=st.sampled_from([0.0, 77.0]),
)
def test_the_scale_of_a_scorer_changes_no_vote(candidates, scores, scale, shift):
    rows = [float(score) for score in scores]
    plain = candidates(rows, score_bm25=rows[::-1], score_cross_encoder=rows)
    scaled = plain.with_columns(pl.col("score_bm25") * scale + shift)
    assert votes(plain) == votes(scaled)
    # the sum of raw scores, which a scale moves, is no vote
    assert all(0 <= value <= 1 for value in votes(plain))


def test_ties_share_a_place_and_one_candidate_alone_says_nothing(candidates):
    assert votes(candidates([0.5, 0.5], score_bm25=[2.0, 2.0], score_cross_encoder=[0.1, 0.1])) == [0.5, 0.5]
    assert votes(candidates([0.5], score_bm25=[2.0], score_cross_encoder=[0.1])) == [0.5]


def test_each_query_has_places_of_its_own(candidates):
    both = candidates(
        [0.9, 0.8, 0.2, 0.1], query=[0, 0, 1, 1], score_bm25=[9.0, 8.0, 2.0, 1.0], score_cross_encoder=[4.0, 3, 2, 1]
    )
    assert votes(both) == [1.0, 0.0, 1.0, 0.0]


def test_two_scorers_are_no_vote(candidates):
    frame = candidates([0.9, 0.8], score_bm25=[2.0, 1.0], score_cross_encoder=[None, 0.3])
    assert votes(frame) == [None, pytest.approx((0 + 0 + 0.5) / 3, abs=1e-6)]
    with pytest.raises(ValidationError, match="names 2 scorers; a vote takes 3 or more"):
        VoteParams(miners="dense,bm25,dense")
    with pytest.raises(MissingColumnsError, match="score_nobody"):
        votes(frame, "dense,bm25,nobody")


def test_the_positives_vote_is_the_lowest(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7], score_bm25=[3.0, 2, 1], score_cross_encoder=[3.0, 2, 1], is_positive=[True, True, False]
    )
    assert vote(frame.lazy(), VoteParams(miners=THREE)).collect()["positive_score_vote"].to_list() == [0.5] * 3
