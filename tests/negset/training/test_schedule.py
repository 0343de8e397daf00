import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negset.training.batches import Planned
from negset.training.checkpoint import START
from negset.training.schedule import count_steps, peak_rates, rate_factor, set_rates, turns_from


def plan_of(*sizes):
    """Give a plan with so many batches in each epoch, named by epoch and place, and the epochs that were asked for."""
    asked = []

    def plan(epoch):
        asked.append(epoch)
        return (Planned(np.array([100 * epoch + place]), True) for place in range(sizes[epoch]))

    return plan, asked


def names(turn):
    return [int(planned.queries_B[0]) for planned in turn.planned]


def test_epochs_may_have_different_numbers_of_batches():
    plan, _ = plan_of(3, 0, 4)
    turns = list(turns_from(plan, 3, 2, START))
    assert [names(turn) for turn in turns] == [[0, 1], [2], [200, 201], [202, 203]]
    assert [turn.step for turn in turns] == [0, 1, 2, 3]
    assert count_steps([3, 0, 4], 2) == 4


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, 3))
def test_from_any_position_the_same_batches_follow(sizes, accumulate):
    plan, _ = plan_of(*sizes)
    turns = list(turns_from(plan, len(sizes), accumulate, START))
    assert len(turns) == count_steps(sizes, accumulate)
    for turn in turns:
        later = list(turns_from(plan, len(sizes), accumulate, turn.after({})))
        assert [names(one) for one in later] == [names(one) for one in turns[turn.step + 1 :]]
        assert [(one.step, one.epoch, one.batches_before) for one in later] == [
            (one.step, one.epoch, one.batches_before) for one in turns[turn.step + 1 :]
        ]


def test_epochs_that_are_over_are_not_planned_again():
    plan, asked = plan_of(3, 3, 3)
    turn = list(turns_from(plan, 3, 1, START))[4]
    asked.clear()
    list(turns_from(plan, 3, 1, turn.after({})))
    assert asked == [1, 2]


def test_the_rate_rises_and_falls_by_lines():
    assert [rate_factor(step, 10, 0.2) for step in range(10)] == pytest.approx(
        [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert rate_factor(0, 1, 0.0) == 1.0


def test_each_group_has_its_own_peak():
    one, two = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    optimizers = [torch.optim.SGD([one], lr=0.5), torch.optim.SGD([two], lr=4.0)]
    peaks = peak_rates(optimizers)
    assert set_rates(optimizers, peaks, 0.5) == 0.25
    assert set_rates(optimizers, peaks, 0.1) == pytest.approx(0.05)
    assert optimizers[1].param_groups[0]["lr"] == pytest.approx(0.4)
