import math

import pytest

from negset.mining.weighers.compactness import CompactnessParams, compactness


def weights(frame, **options):
    return compactness(frame.lazy(), CompactnessParams(**options)).collect()["weight"].to_list()


def test_the_formula(candidates):
    # negatives at .2 and .4 (mean .3, deviation .1), the positive at .5: a margin of two deviations
    frame = candidates([0.4, 0.2], positive_score_dense=0.5)
    expected = 1 + 0.3 / (1 + math.exp(2 / 0.5))
    assert weights(frame, miners="dense", temperature=0.5) == pytest.approx([expected] * 2)


def test_a_query_weighs_more_the_smaller_its_margin(candidates):
    frame = candidates(
        [0.4, 0.2, 0.4, 0.2], query=[0, 0, 1, 1], doc=[0, 1, 0, 1], positive_score_dense=[0.9, 0.9, 0.1, 0.1]
    )
    good, _, bad, _ = weights(frame, miners="dense")
    assert 1.0 < good < 1.15 < bad < 1.3


def test_the_worst_view_decides(candidates):
    fine = candidates([0.4, 0.2], positive_score_dense=0.9)
    doubted = candidates(
        [0.4, 0.2], positive_score_dense=0.9, rank_bm25=1, score_bm25=[9.0, 3.0], positive_score_bm25=2.0
    )
    assert weights(doubted)[0] > weights(fine)[0]
    assert weights(doubted) == weights(doubted, miners="bm25")


def test_no_margin_changes_nothing(candidates):
    assert weights(candidates([0.4, 0.2], positive_score_dense=None)) == [1.0, 1.0]
    assert weights(candidates([0.4], positive_score_dense=0.5, rejected_by=["margin"])) == [1.0]
