"""Cut ordered buckets into few intervals whose members are alike, at the least cost, by dynamic programming.

For buckets in an order that means something (hardness, time), as the interval clustering of "Addressing Negative
Transfer in Diffusion Models" (arXiv 2306.00354) does for noise levels.
"""

from collections.abc import Sequence

import numpy as np

from negset.arrays import Floats

_ROUNDING = 1e-9


def spread_costs(points_ND: Floats) -> Floats:
    """Give what each interval of the ordered points costs, (N, N): the sum of squared distances from its mean.

    Entry (i, j) is the interval from i to j, both included; below the diagonal it is 0.
    """
    gaps_NN = ((points_ND[:, None, :] - points_ND[None, :, :]) ** 2).sum(axis=2)
    return interval_costs(gaps_NN)


def interval_costs(gaps_NN: Floats) -> Floats:
    """Give the same from squared distances: those of all pairs of an interval, over the number of its members."""
    count = len(gaps_NN)
    costs_NN = np.zeros((count, count))
    for first in range(count):
        total = 0.0
        for last in range(first + 1, count):
            total += float(gaps_NN[first:last, last].sum())
            costs_NN[first, last] = total / (last - first + 1)
    return costs_NN


def cut_intervals(costs_NN: Floats, most: int) -> list[tuple[int, ...]]:
    """Cut the buckets into at most `most` intervals of the least total cost; give the members of each, in order.

    Of cuts that cost the same the one with the fewest intervals is taken, of these the one whose last interval starts
    first. Raises ValueError for `most` below 1.
    """
    if most < 1:
        message = f"cannot cut into {most} intervals: give 1 or more"
        raise ValueError(message)
    count = len(costs_NN)
    if not count:
        return []
    best = [costs_NN[0].tolist()]
    starts: list[list[int]] = [[0] * count]
    for _ in range(1, min(most, count)):
        row, start = _extend(best[-1], costs_NN)
        best.append(row)
        starts.append(start)
    totals = [row[-1] for row in best]
    least = min(totals)
    groups = next(place for place, total in enumerate(totals) if total <= least + _ROUNDING)
    return _members(starts, groups, count)


def _extend(best: Sequence[float], costs_NN: Floats) -> tuple[list[float], list[int]]:
    """Give the cost of the first buckets in one interval more, and where the last interval starts, for each bucket."""
    row, start = [float("inf")] * len(best), [0] * len(best)
    for last in range(len(best)):
        for first in range(1, last + 1):
            cost = best[first - 1] + float(costs_NN[first, last])
            if cost < row[last] - _ROUNDING:
                row[last], start[last] = cost, first
    return row, start


def _members(starts: Sequence[Sequence[int]], groups: int, count: int) -> list[tuple[int, ...]]:
    found, end = [], count
    for level in range(groups, -1, -1):
        first = starts[level][end - 1] if level else 0
        found.append(tuple(range(first, end)))
        end = first
    return found[::-1]
