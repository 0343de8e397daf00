from itertools import pairwise

import numpy as np

from negset.rounds.deciding import decide

DRAW = np.random.default_rng(7)
BASE = DRAW.uniform(0, 1, size=200)


def shifted(by, noise=0.02):
    return BASE + by + noise * DRAW.normal(size=len(BASE))


def test_a_round_that_is_worse_beyond_noise_stops_and_the_one_before_is_kept():
    decisions = decide([BASE, shifted(0.1), shifted(-0.05), shifted(0.5)], 13)
    assert [one.worse for one in decisions] == [False, True]
    assert [one.best for one in decisions] == [1, 1]


def test_a_loss_within_noise_goes_on_and_keeps_the_best():
    noisy = BASE + 0.3 * DRAW.normal(size=len(BASE))
    noisy -= noisy.mean() - BASE.mean() + 0.001
    decisions = decide([BASE, noisy, shifted(0.2)], 13)
    assert [one.worse for one in decisions] == [False, False]
    assert [one.best for one in decisions] == [0, 2]


def test_slow_decline_is_measured_against_the_best_not_the_round_before():
    """Each step is within noise of the one before; together they are not."""
    draw = np.random.default_rng(8)
    steps = [BASE - 0.002 * number + 0.03 * draw.normal(size=len(BASE)) for number in range(12)]
    pairs = [decide([before, after], 13)[0].worse for before, after in pairwise(steps)]
    assert not any(pairs)
    assert decide(steps, 13)[-1].worse


def test_equal_models_keep_the_first_and_nothing_is_worse():
    decisions = decide([BASE, BASE, BASE], 13)
    assert [(one.worse, one.best) for one in decisions] == [(False, 0), (False, 0)]


def test_the_first_round_is_measured_against_the_start():
    decisions = decide([BASE, shifted(-0.1)], 13)
    assert (decisions[0].worse, decisions[0].best) == (True, 0)
    assert 0.08 < decisions[0].behind.difference.mean < 0.12


def test_too_few_queries_cannot_say_that_a_round_is_worse():
    for count, worse in ((19, False), (20, True)):
        decisions = decide([BASE[:count], BASE[:count] - 0.5], 13)
        assert [(one.worse, one.best) for one in decisions] == [(worse, 0)]
