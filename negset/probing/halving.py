"""Successive halving: all are measured a little, the better ones again (Jamieson and Talwalkar 2016)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from negset.errors import ConfigError

FINALISTS: Final = 4
"""Candidates that are measured in every round at least."""
OF_ONE_FAMILY: Final = 2
"""Variants of one recipe among the finalists, while there are others to take their place."""
KEPT: Final = (1.0, 0.75, 0.5, 0.35, 0.25, 0.1)
"""Shares of the candidates that may go on after a round; the largest that the budget allows is taken."""
SPEND: Final = 3
"""Trainings for each candidate where no budget is given."""


@dataclass(frozen=True)
class Schedule:
    """How many candidates are measured in each round."""

    sizes: tuple[int, ...]

    @property
    def trainings(self) -> int:
        """Count the trainings of all rounds."""
        return sum(self.sizes)


def plan_rounds(candidates: int, rounds: int, budget: int = 0) -> Schedule:
    """Plan `rounds` over `candidates` within `budget` trainings, or `SPEND` for each where it is 0.

    Raises ConfigError where the budget does not reach.
    """
    plans = [_sizes(candidates, rounds, share) for share in KEPT]
    limit = budget or max(SPEND * candidates, plans[-1].trainings)
    for plan in plans:
        if plan.trainings <= limit:
            return plan
    message = (
        f"{candidates} candidates need {plans[-1].trainings} trainings at least, the budget is {budget}: "
        "raise --budget or name fewer --recipes"
    )
    raise ConfigError(message)


def _sizes(candidates: int, rounds: int, share: float) -> Schedule:
    least = min(FINALISTS, candidates)
    return Schedule(tuple(max(least, math.ceil(candidates * share**number)) for number in range(rounds)))


def run_rounds(
    schedule: Schedule,
    names: Sequence[str],
    measure: Callable[[str, int], float],
    always: Sequence[str] = (),
    family: Callable[[str], str] = str,
) -> list[list[str]]:
    """Measure the survivors in each round and keep the best by the mean of all their rounds; give who was in which.

    `measure` gives a name's value in a round. Names in `always` are never dropped, and take no other's place. Ties go
    to the name that comes first in `names`. Once as few are left as in the last round, at most `OF_ONE_FAMILY` share
    a `family`, more only where others are too few.
    """
    values: dict[str, list[float]] = {name: [] for name in names}
    rounds, alive = [], list(names)
    for number, size in enumerate(schedule.sizes):
        ordered = sorted(alive, key=lambda name: (-_mean(values[name]), names.index(name)))
        if size == schedule.sizes[-1]:
            ordered = _varied(ordered, family)
        kept = set(ordered[:size]) | set(always)
        alive = [name for name in names if name in kept and name in alive]
        for name in alive:
            values[name].append(measure(name, number))
        rounds.append(alive)
    return rounds


def _varied(ordered: Sequence[str], family: Callable[[str], str]) -> list[str]:
    """Put what is above `OF_ONE_FAMILY` of its family behind all others; else the order stays."""
    seen: dict[str, int] = {}
    first: list[str] = []
    later: list[str] = []
    for name in ordered:
        seen[family(name)] = seen.get(family(name), 0) + 1
        (first if seen[family(name)] <= OF_ONE_FAMILY else later).append(name)
    return first + later


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
