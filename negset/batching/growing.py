"""Groups that grow around seeds: each query once, seeds in a drawn order, near ones first.

What a seed takes depends on what seeds before it took, so there is a step for each group, over arrays of a few dozen
neighbours; hubs, which are in many lists, are taken once by the first seed that reaches them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.batching.neighbours import Neighbours
from negset.lots import mix

_PUT_OFF: Final = 1024  # seeds in a row that do not fit into a batch, after which it is closed


@dataclass(frozen=True)
class Share:
    """Of the neighbours at ranks `first` to `last` - 1 of a seed's list, counted from 0, take `count` at random."""

    first: int
    last: int
    count: int


@dataclass(frozen=True)
class Grown:
    """Visits in the order of batches and groups; `seed_V` is the row of the group's seed, which has rank 0."""

    query_V: Rows
    batch_V: Rows
    seed_V: Rows
    rank_V: Rows
    distance_V: Floats


def grow(
    order: Rows,
    near: Neighbours,
    shares: Sequence[Share],
    size: int,
    lots_Q: NDArray[np.uint64],
    *,
    whole: int = 1,
    label_Q: Rows | None = None,
) -> Grown:
    """Visit all rows of `order`: the next one that is free is a seed, and takes its `shares` of free neighbours.

    A batch is closed when fewer than `whole` of its `size` places are left. Of rows with one label in `label_Q` a
    batch takes one. `lots_Q` decide, with the seed, which neighbours are drawn.
    """
    queue, put_off = deque(order.tolist()), deque[int]()
    used_Q = np.zeros(len(near.rows_QK), dtype=np.bool_)
    held: set[int] = set()
    parts: list[tuple[NDArray[np.int32], NDArray[np.int32], int, int]] = []
    batch, room = 0, size
    while queue or put_off:
        if not queue or len(put_off) >= _PUT_OFF or room < whole:
            batch, room = batch + 1, size
            held.clear()
            queue.extendleft(reversed(put_off))
            put_off.clear()
        seed = queue.popleft()
        if used_Q[seed]:
            continue
        if label_Q is not None and int(label_Q[seed]) in held:
            put_off.append(seed)
            continue
        used_Q[seed] = True
        rows, ranks = _taken(seed, near.rows_QK[seed], shares, used_Q, lots_Q)
        if label_Q is not None:
            held.add(int(label_Q[seed]))
            rows, ranks = _of_free_labels(rows, ranks, label_Q, held)
        rows, ranks = rows[: room - 1], ranks[: room - 1]
        used_Q[rows] = True
        if label_Q is not None:
            held.update(label_Q[rows].tolist())
        parts.append((rows, ranks, seed, batch))
        room -= 1 + len(rows)
    return _joined(parts, near)


def _taken(
    seed: int, near_K: NDArray[np.int32], shares: Sequence[Share], used_Q: NDArray[np.bool_], lots_Q: NDArray[np.uint64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the rows that a seed takes and their ranks, from 1: of each share the free ones, drawn if they are many."""
    ranks: list[NDArray[np.int64]] = []
    for share in shares:
        part = near_K[share.first : share.last]
        free = np.flatnonzero((part >= 0) & ~used_Q[part])
        if len(free) > share.count:
            drawn = mix(lots_Q[part[free]] ^ mix(lots_Q[seed : seed + 1]))
            free = np.sort(free[np.argsort(drawn, kind="stable")[: share.count]])
        ranks.append(free + share.first)
    taken = np.concatenate(ranks)
    return near_K[taken], (taken + 1).astype(np.int32)


def _of_free_labels(
    rows: NDArray[np.int32], ranks: NDArray[np.int32], label_Q: Rows, held: set[int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Keep the first row of each label that is not `held`."""
    labels = label_Q[rows]
    first = np.zeros(len(rows), dtype=np.bool_)
    first[np.unique(labels, return_index=True)[1]] = True
    kept = first & np.array([label not in held for label in labels.tolist()], dtype=np.bool_)
    return rows[kept], ranks[kept]


def _joined(parts: list[tuple[NDArray[np.int32], NDArray[np.int32], int, int]], near: Neighbours) -> Grown:
    sizes = np.array([1 + len(rows) for rows, _, _, _ in parts], dtype=np.int64)
    seeds = np.array([seed for _, _, seed, _ in parts], dtype=np.int64)
    batches = np.array([batch for _, _, _, batch in parts], dtype=np.int64)
    flat = [np.r_[seed, rows] for rows, _, seed, _ in parts]
    ranks = [np.r_[0, found] for _, found, _, _ in parts]
    query_V = np.concatenate(flat) if flat else np.empty(0, dtype=np.int64)
    rank_V = np.concatenate(ranks) if ranks else np.empty(0, dtype=np.int64)
    seed_V = np.repeat(seeds, sizes)
    distance_V = np.where(rank_V > 0, near.distance_QK[seed_V, np.maximum(rank_V - 1, 0)], 0.0)
    return Grown(
        query_V.astype(np.int64), np.repeat(batches, sizes), seed_V, rank_V.astype(np.int64), distance_V.astype(float)
    )
