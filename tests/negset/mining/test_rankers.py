import polars as pl
import pytest

from negset.errors import MissingColumnsError
from negset.mining.rankers import lowest_positive, places, rankers

MINERS = ["rank_dense", "score_dense", "rank_bm25", "score_bm25", "rank_random", "score_random"]


def test_unnamed_they_are_the_miners_that_score_whatever_teachers_and_scorers_there_are():
    others = ["score_guide", "score_rank_fusion", "score", "rank"]
    assert rankers([*MINERS, *others]) == ("dense", "bm25")


def test_named_they_may_be_teachers_and_keep_their_order():
    assert rankers([*MINERS, "score_guide"], ["guide", "dense"]) == ("guide", "dense")


def test_nobody_and_an_unknown_one_are_errors():
    with pytest.raises(MissingColumnsError, match="score_guide"):
        rankers(MINERS, ["guide"])
    with pytest.raises(MissingColumnsError, match="score_<miner>"):
        rankers(["rank_random", "score_random"])


def test_a_miner_has_its_own_places_and_a_teacher_those_of_its_scores(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7, 0.6],
        query=[0, 0, 0, 1],
        doc=[0, 1, 2, 0],
        rank_dense=[2, 5, None, 1],
        score_guide=[0.1, 0.7, 0.7, None],
    )
    found = frame.with_columns(**places(frame.columns, ["dense", "guide"]))
    assert found["dense"].to_list() == [2, 5, None, 1]
    assert found["guide"].to_list() == [3, 1, 2, None]


def test_the_lowest_positive_is_that_of_the_query(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7, 0.6], query=[0, 0, 1, 1], doc=[0, 1, 0, 1], is_positive=[True, True, False, False]
    )
    assert frame.select(lowest_positive("score")).to_series().to_list() == [0.8, 0.8, None, None]
    assert frame.select(pl.col("score").min().over("query")).to_series().to_list()[2] == 0.6  # no positive, no score
