"""Which round's model is kept, and whether the rounds go on."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from negset.probing.bootstrap import Difference, Values, compare_with

LEVEL: Final = 0.05
"""Chance below which a difference is not taken for luck."""
FEWEST: Final = 20
"""Queries below which resampling them says nothing: no round is called worse then."""


@dataclass(frozen=True)
class Decision:
    """What one more model is worth beside the best before it.

    `behind` is by how much the best before is above it on the validation queries, with its interval and chance.
    """

    behind: Difference
    worse: bool
    best: int
    """Number of the best model so far, this one included; 0 is the model before any round."""


def decide(values: list[Values], seed: int) -> list[Decision]:
    """Judge each model but the first by `values`: a measure of each validation query, one array for each model.

    A model is worse where the best before it is above it by a paired bootstrap over queries (two-sided, 5 %), unless
    there are too few queries to tell. The best is the one with the highest mean; of equals the first. A model that is
    worse is the last that is judged.
    """
    best, decisions = 0, []
    for number in range(1, len(values)):
        compared = compare_with(np.stack([values[best], values[number]]), 0, seed)
        (behind,) = [difference for difference in compared if difference is not None]
        worse = len(values[0]) >= FEWEST and behind.difference.mean > 0 and behind.chance < LEVEL
        best = number if behind.difference.mean < 0 else best
        decisions.append(Decision(behind, worse, best))
        if worse:
            break
    return decisions
