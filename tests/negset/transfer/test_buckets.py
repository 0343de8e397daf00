"""Ordered buckets are cut into few intervals at the least cost."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.transfer.buckets import cut_intervals, interval_costs, spread_costs


def cut(values, most):
    found = cut_intervals(spread_costs(np.array(values, dtype=float)[:, None]), most)
    return [[values[place] for place in members] for members in found]


def test_the_example_of_the_spec():
    assert cut([1, 1, 5, 5, 9], 3) == [[1, 1], [5, 5], [9]]


def test_no_more_groups_than_are_needed_and_none_that_is_not_an_interval():
    assert cut([1, 1, 5, 5, 9], 5) == [[1, 1], [5, 5], [9]]
    assert cut([2, 2, 2], 3) == [[2, 2, 2]]
    # Buckets 1 and 9 stand between: clustering by value alone would put the ones together.
    assert cut([1, 9, 1], 2) in ([[1], [9, 1]], [[1, 9], [1]])
    assert cut([1, 9, 1], 3) == [[1], [9], [1]]


def test_edges():
    assert cut_intervals(np.zeros((0, 0)), 3) == []
    assert cut([4], 3) == [[4]]
    assert cut([1, 2, 3], 1) == [[1, 2, 3]]
    with pytest.raises(ValueError, match="0 intervals"):
        cut([1], 0)


def test_cost_of_an_interval_is_its_squared_distances_from_the_mean():
    values = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0]])
    costs = spread_costs(values)
    assert costs[0, 1] == pytest.approx(2.0)
    assert costs[0, 2] == pytest.approx(((values - values.mean(axis=0)) ** 2).sum())
    assert costs[2, 2] == 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 5))
def test_no_other_cut_costs_less(values, most):
    costs = spread_costs(np.array(values, dtype=float)[:, None])
    found = cut_intervals(costs, most)
    assert [place for members in found for place in members] == list(range(len(values)))
    assert len(found) <= most
    count = len(values)
    cheapest = min(
        sum(costs[first, last - 1] for first, last in zip((0, *inner), (*inner, count), strict=True))
        for groups in range(1, min(most, count) + 1)
        for inner in combinations(range(1, count), groups - 1)
    )
    assert sum(costs[members[0], members[-1]] for members in found) == pytest.approx(cheapest, abs=1e-9)


def test_distances_alone_give_the_same_costs():
    values = np.array([[1.0], [4.0], [6.0]])
    assert np.allclose(interval_costs((values - values.T) ** 2), spread_costs(values))
