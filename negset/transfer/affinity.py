"""Whether two groups pull a model the same way: the cosine of their gradients where training starts.

As in "Gradient Surgery for Multi-Task Learning" (arXiv 2001.06782): gradients whose cosine is negative conflict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from negset.arrays import Floats, Matrix


@dataclass(frozen=True)
class Affinity:
    """Between G groups: the mean cosine of their batches' gradients, and the share of the pairs that conflict, (G, G).

    On the diagonal different batches of the same group are compared; NaN where it has but one.
    """

    cosine_GG: Floats
    conflict_GG: Floats


def gradient_affinity(gradients: Sequence[Matrix]) -> Affinity:
    """Compare `gradients`, those of several batches (B, P) for each group; a gradient of length 0 has cosine 0."""
    units = [_unit(one.astype(np.float64)) for one in gradients]
    count = len(units)
    cosine_GG, conflict_GG = np.full((count, count), np.nan), np.full((count, count), np.nan)
    for one in range(count):
        for other in range(one, count):
            pairs_BB = units[one] @ units[other].T
            pairs = pairs_BB[np.triu_indices(len(pairs_BB), 1)] if one == other else pairs_BB.ravel()
            if len(pairs):
                cosine_GG[one, other] = cosine_GG[other, one] = pairs.mean()
                conflict_GG[one, other] = conflict_GG[other, one] = (pairs < 0).mean()
    return Affinity(cosine_GG, conflict_GG)


def _unit(rows_BP: Floats) -> Floats:
    length_B1 = np.linalg.norm(rows_BP, axis=1, keepdims=True)
    return np.asarray(rows_BP / np.where(length_B1 > 0, length_B1, 1.0))
