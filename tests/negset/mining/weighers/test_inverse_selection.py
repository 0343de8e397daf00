import math

import pytest

from negset.mining.weighers.inverse_selection import InverseSelectionParams, inverse_selection


def weights(frame, **options):
    return inverse_selection(frame.lazy(), InverseSelectionParams(**options)).collect()["weight"].to_list()


def test_what_was_probably_seen_weighs_more_with_mean_one(candidates):
    frame = candidates([0.5] * 3, score_selection=[2.0, 0.0, -2.0])
    raw = [1 / (1 - 1 / (1 + math.exp(-score / 2))) for score in (2.0, 0.0, -2.0)]
    expected = [weight / (sum(raw) / 3) for weight in raw]
    assert weights(frame) == pytest.approx(expected)
    assert expected[0] > 1 > expected[2]  # a weight of 1 - p, or of 1 / p, falls instead


def test_weights_are_clipped_and_nothing_overflows(candidates):
    frame = candidates([0.5] * 2, score_selection=[1e6, -1e6])
    assert weights(frame) == pytest.approx([10 / 5.5, 1 / 5.5])
    assert weights(frame, most=1e9) == pytest.approx([2 * (1 + math.exp(8)) / (2 + math.exp(8)), 2 / (2 + math.exp(8))])
    assert weights(frame, most=1.0) == [1.0, 1.0]


def test_the_mean_is_that_of_each_querys_survivors(candidates):
    frame = candidates(
        [0.5] * 5,
        query=[0, 0, 0, 1, 1],
        doc=[0, 1, 2, 0, 1],
        score_selection=[0.0, 4.0, 9.0, 6.0, None],
        rejected_by=[None, None, "margin", None, None],
    )
    first, second, rejected, alone, unscored = weights(frame)
    assert (first + second) / 2 == pytest.approx(1.0)
    assert (rejected, alone, unscored) == (1.0, 1.0, 1.0)


def test_a_larger_lambda_is_milder(candidates):
    frame = candidates([0.5] * 2, score_selection=[6.0, 0.0])
    steep, mild = weights(frame, smoothing=1.0, most=1e3), weights(frame, smoothing=10.0)
    assert steep[0] / steep[1] == pytest.approx((1 + math.exp(6)) / 2)  # 404 / 2
    assert mild[0] / mild[1] == pytest.approx((1 + math.exp(0.6)) / 2)  # 2.8 / 2
