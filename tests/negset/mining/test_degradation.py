"""What a model lost on a query, by ranks, by margins against another model, by what both make of its list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.mining.degradation import divergence, margin_drop, missed_share


def test_what_positives_miss_is_one_less_the_reciprocal_rank(mined_candidates):
    first = mined_candidates(
        [0.9, 0.8, 0.7, 0.6],
        query=[0, 0, 0, 1],
        doc=[0, 1, 2, 3],
        rank_dense=[1, 2, 4, None],
        is_positive=[False, True, True, True],
    )
    second = mined_candidates([0.5], query=2, is_positive=True, rank_dense=[1])
    assert missed_share([first, second], 4).tolist() == [0.5, 1.0, 0.0, 1.0]


@pytest.fixture
def scored(mined_candidates):
    """Give a function that makes the frame of a query from pairs of scores, now and before, of its candidates."""

    def make(pairs, positive=(0.9, 0.9), query=0, **columns):
        now, before = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return mined_candidates(
            now,
            query=query,
            doc=list(range(len(pairs))),
            positive_score_dense=positive[0],
            score_guide=before,
            positive_score_guide=positive[1],
            **columns,
        )

    return make


def test_a_margin_that_fell_is_a_need(scored):
    lost = scored([(0.8, 0.4), (0.6, 0.2)], positive=(0.7, 0.9))  # 0.7 - 0.7 now, 0.9 - 0.3 before
    won = scored([(0.2, 0.4)], query=1)
    assert margin_drop([lost, won], 3, "guide") == pytest.approx([0.6, -0.2, 0.0])


def test_what_only_one_model_scored_and_positives_do_not_count(scored):
    """The wrong version takes each model's own mean, and a candidate that one lacks moves the margin."""
    rows = [(0.5, 0.5), (0.9, None), (0.9, 0.1)]
    found = margin_drop([scored(rows, is_positive=[False, False, True])], 1, "guide")
    assert found == pytest.approx([0.0])
    assert margin_drop([scored([(0.5, 0.1)], positive=(0.9, None))], 1, "guide").tolist() == [0.0]


def test_the_same_scores_do_not_diverge_and_opposite_ones_do_by_one(scored):
    same = scored([(0.5, 0.5), (0.1, 0.1)])
    shifted = scored([(0.5, 0.7), (0.1, 0.3)], positive=(0.7, 0.9), query=1)  # chances know no level
    turned = scored([(9.0, -9.0)], positive=(-9.0, 9.0), query=2)  # chances of 0 need no eps
    found = divergence([same, shifted, turned], 4, "guide")
    assert found == pytest.approx([0.0, 0.0, 1.0, 0.0], abs=1e-9)


def test_the_divergence_is_that_of_two_chances(scored):
    """A list of the positive and one candidate, whose logits are 1 and 0 now, 0 and 1 before."""
    (found,) = divergence([scored([(0.0, 0.05)], positive=(0.05, 0.0))], 1, "guide")
    high, low = math.e / (1 + math.e), 1 / (1 + math.e)
    by_hand = (high * math.log2(high / 0.5) + low * math.log2(low / 0.5)) * 2 / 2
    assert found == pytest.approx(by_hand)


@given(
    data=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8),
    positive=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_a_divergence_is_symmetric_and_between_0_and_1(mined_candidates, data, positive):
    def of(pairs, own):
        frame = mined_candidates(
            [pair[0] for pair in pairs],
            doc=list(range(len(pairs))),
            positive_score_dense=own[0],
            score_guide=[pair[1] for pair in pairs],
            positive_score_guide=own[1],
        )
        return float(divergence([frame], 1, "guide")[0])

    turned = [pair[::-1] for pair in data]
    assert 0 <= of(data, positive) <= 1
    assert of(turned, positive[::-1]) == pytest.approx(of(data, positive), abs=1e-9)
    assert of(data[::-1], positive) == pytest.approx(of(data, positive), abs=1e-9)


def test_needs_do_not_depend_on_how_queries_are_cut(scored):
    frames = [scored([(0.8, 0.4), (0.6, 0.2)], positive=(0.7, 0.9), query=at) for at in range(3)]
    for measure in (margin_drop, divergence):
        assert np.ptp(measure(frames, 3, "guide")) == 0
