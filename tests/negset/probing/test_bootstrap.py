"""Intervals that cover, tests that hold their level, and a choice without the luck of having been chosen."""

import numpy as np
import pytest

from negset.probing.bootstrap import (
    _resample_runs,
    chosen_interval,
    compare_with,
    holm,
    interval,
    measure_changes,
    measure_gains,
    measure_runs,
)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_interval_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(0.5, 0.2, size=400)
    found = interval(values, 1)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.003)
    assert found.high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.003)


def test_a_pair_is_compared_query_by_query():
    """Queries differ far more than sets do: a test that forgot the pairs would see nothing."""
    chance = np.random.default_rng(2)
    easy = chance.random(300)
    values = np.stack([easy + 0.02, easy + chance.normal(0, 0.05, size=300), easy + 0.02])
    first, second, third = compare_with(values, 0, 1)
    assert first is None
    assert second.real
    assert second.difference.low < second.difference.mean < second.difference.high
    assert third.difference.mean == 0.0
    assert not third.real


def test_a_difference_of_nothing_is_called_real_rarely():
    chance = np.random.default_rng(3)
    found = [compare_with(chance.normal(size=(2, 120)), 0, trial)[1] for trial in range(200)]
    assert sum(one.real for one in found) <= 20  # 10 are expected


def test_many_comparisons_are_corrected_for():
    chance = np.random.default_rng(4)
    wrong = 0
    for trial in range(60):
        found = compare_with(chance.normal(size=(21, 100)), 0, trial)
        wrong += any(one.real for one in found if one)
    assert wrong <= 9  # 3 are expected; without the correction it would be about 30


def test_sets_measured_on_fewer_queries_are_compared_on_those():
    values = np.array([[0.9] * 50 + [0.1] * 50, [0.5] * 50 + [np.nan] * 50])
    found = compare_with(values + np.random.default_rng(1).normal(0, 0.01, values.shape), 0, 1)[1]
    assert found.difference.mean == pytest.approx(0.4, abs=0.01)


def test_the_chosen_one_is_worth_what_it_is_and_not_what_it_showed():
    """Of twenty equal sets the best showed more than it is worth; the estimate does not believe it."""
    chance = np.random.default_rng(5)
    shown, estimated = [], []
    for trial in range(12):
        values = chance.normal(0.5, 0.3, size=(20, 100))
        shown.append(values.mean(axis=1).max())
        estimated.append(chosen_interval(values, trial).mean)
    assert np.mean(shown) > 0.54
    assert np.mean(estimated) == pytest.approx(0.5, abs=0.02)


def test_the_same_seed_gives_the_same_numbers():
    values = np.random.default_rng(6).normal(size=(3, 40))
    assert compare_with(values, 1, 7) == compare_with(values, 1, 7)
    assert chosen_interval(values, 7) == chosen_interval(values, 7)


def test_runs_are_resampled_with_queries():
    """Three runs that differ by .1 on all queries alike: over queries alone the interval would have no width."""
    gains = np.array([[0.0], [0.1], [0.2]]) + np.zeros((3, 50))
    (found,) = measure_runs([gains], 1)
    assert found.difference.mean == pytest.approx(0.1)
    assert found.difference.high - found.difference.low > 0.15
    (sure,) = measure_runs([np.full((3, 50), 0.1)], 1)
    assert (sure.difference.low, sure.difference.high) == (pytest.approx(0.1), pytest.approx(0.1))
    with pytest.raises(ValueError, match="1 runs say nothing"):
        measure_runs([gains[:1]], 1)


def test_the_variance_of_few_runs_is_that_of_their_mean():
    """Drawing as many as there are would give (n - 1) / n of it: two thirds with three runs."""
    runs = np.array([[-1.0], [0.0], [1.0]]) + np.zeros((3, 5))
    resampled = _resample_runs(runs, 1)
    assert resampled.var() == pytest.approx(runs[:, 0].var(ddof=1) / 3, rel=0.05)


def test_changes_are_paired_and_those_of_different_queries_corrected_together():
    chance = np.random.default_rng(1)
    first, second = chance.uniform(0, 1, 60), chance.uniform(0, 1, 40)
    clear = (first, first + chance.normal(0.1, 0.1, 60))
    still = (second, second + chance.normal(0.0, 0.1, 40))
    found = measure_changes([clear, still], 3)
    assert [one.change.real for one in found] == [True, False]
    assert found[0].change.adjusted == pytest.approx(min(1.0, 2 * found[0].change.chance))
    (alone,) = measure_changes([clear], 3)
    assert alone.change.adjusted == alone.change.chance
    assert alone.change.difference == found[0].change.difference
    # Queries differ by more than they change: unpaired, the interval would be as wide as those of the means.
    assert alone.before.high - alone.before.low > 2 * (alone.change.difference.high - alone.change.difference.low)
    for got, values in ((alone.before, clear[0]), (alone.after, clear[1])):
        expected = interval(values, 3)
        assert (got.mean, got.low, got.high) == pytest.approx((expected.mean, expected.low, expected.high))
    (gain,) = measure_gains([clear[1] - clear[0]], 3)
    assert gain.chance == alone.change.chance
    assert gain.difference.low == pytest.approx(alone.change.difference.low)
