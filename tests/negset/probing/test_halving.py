"""Halving spends what it may and keeps what is better."""

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.probing.halving import FINALISTS, Schedule, plan_rounds, run_rounds


def test_rounds_shrink_to_the_finalists():
    plan = plan_rounds(32, 6)
    assert plan.sizes == (32, 16, 8, 4, 4, 4)
    assert plan.trainings == 68


@pytest.mark.parametrize(("candidates", "rounds", "budget"), [(40, 10, 400), (40, 10, 130), (40, 10, 90), (3, 10, 30)])
def test_budget_is_kept_and_used(candidates, rounds, budget):
    plan = plan_rounds(candidates, rounds, budget)
    assert plan.trainings <= budget
    assert len(plan.sizes) == rounds
    assert plan.sizes[0] == candidates
    if budget == candidates * rounds:
        assert plan.sizes == (candidates,) * rounds


def test_a_budget_that_does_not_reach_says_how_much_is_needed():
    with pytest.raises(ConfigError, match=r"40 candidates need \d+ trainings at least, the budget is 20"):
        plan_rounds(40, 10, 20)


def test_halving_keeps_the_planted_winner():
    """A winner by .06 is kept through noise of .02 in each round, whatever its place."""
    names = [f"r{place:02}" for place in range(32)]

    def survives(trial):
        chance, winner = np.random.default_rng(trial), names[trial % 32]
        noisy = run_rounds(plan_rounds(32, 10), names, lambda name, _: 0.06 * (name == winner) + chance.normal(0, 0.02))
        return winner in noisy[-1]

    kept = sum(survives(trial) for trial in range(50))
    assert kept >= 48


def test_who_was_best_over_all_rounds_stays_not_who_was_best_in_the_last():
    values = {("a", 0): 1.0, ("a", 1): 0.0, ("b", 0): 0.0, ("b", 1): 0.2}
    names = ["a", "b", *(f"z{place}" for place in range(FINALISTS * 2 - 2))]
    sizes = plan_rounds(len(names), 3, budget=2 * len(names))
    rounds = run_rounds(sizes, names, lambda name, number: values.get((name, number), -1.0 + number * 0.01))
    assert {"a", "b"} <= set(rounds[-1])


def test_what_must_stay_stays_and_takes_no_place():
    names = ["worst", *(f"r{place}" for place in range(15))]
    rounds = run_rounds(plan_rounds(16, 4, 32), names, lambda name, _: 0.0 if name == "worst" else 1.0, ["worst"])
    assert all("worst" in alive for alive in rounds)
    assert [len(alive) for alive in rounds] == [16, 9, 5, 5]


def test_ties_go_to_the_first_name():
    names = [f"r{place:02}" for place in range(16)]
    assert run_rounds(plan_rounds(16, 4, 32), names, lambda *_: 0.5)[-1] == names[:FINALISTS]


def test_finalists_are_not_all_variants_of_one_recipe():
    names = [f"a {number}" for number in range(6)] + ["b", "c", "d"]
    values = {name: 1.0 - place / 10 for place, name in enumerate(names)}
    rounds = run_rounds(Schedule((9, 4, 4)), names, lambda name, _: values[name], family=lambda name: name[0])
    assert rounds[-1] == ["a 0", "a 1", "b", "c"]
    alone = run_rounds(Schedule((6, 4)), names[:6], lambda name, _: values[name], family=lambda name: name[0])
    assert alone[-1] == names[:4]
