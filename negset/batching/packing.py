"""Groups of queries become batches: each query once, no batch over its size."""

import numpy as np

from negset.arrays import Rows
from negset.batching.planner import Visits
from negset.errors import ContractError, listed


def cut(length: int, size: int) -> Rows:
    """Number the batches of `length` visits that follow each other, `size` in each, the last one what is left."""
    return np.arange(length, dtype=np.int64) // size


def grouped(labels_N: Rows, order_N: Rows) -> tuple[Rows, Rows]:
    """Give the rows by ascending label, inside a label in the `order_N` given, and where each label begins."""
    by_label = order_N[np.argsort(labels_N[order_N], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(labels_N[by_label]) != 0]) if len(by_label) else np.empty(0, np.int64)
    return by_label, starts.astype(np.int64)


def concatenated(parts_of_N: Rows, order_P: Rows) -> Rows:
    """Give the positions 0 to N - 1, whose parts `parts_of_N` ascend, with the parts in the order `order_P`."""
    rank_P = np.empty(len(order_P), dtype=np.int64)
    rank_P[order_P] = np.arange(len(order_P))
    return np.argsort(rank_P[parts_of_N], kind="stable")


def even_parts(sizes_G: Rows, size: int) -> Rows:
    """Number the parts of groups that follow each other: a group over `size` falls into parts whose sizes differ by 1.

    Gives for each member the number of its part, counted from 0 over all groups.
    """
    parts_G = np.maximum(-(-sizes_G // size), 1)
    within = np.arange(int(sizes_G.sum())) - np.repeat(np.cumsum(sizes_G) - sizes_G, sizes_G)
    first_G = np.cumsum(parts_G) - parts_G
    part_N: Rows = np.repeat(first_G, sizes_G) + within * np.repeat(parts_G, sizes_G) // np.repeat(sizes_G, sizes_G)
    return part_N


def check_visits(visits: Visits, queries: int, size: int, *, every: bool, repeats: bool, name: str) -> None:
    """Raise ContractError unless the `visits` of the plan `name` keep what it promises.

    No batch is empty, larger than `size` or has a query twice; unless it `repeats`, no query comes twice in the
    epoch; with `every` none is missing.
    """
    batch_V, query_V = visits.batch_V, visits.query_V
    sizes_B = np.bincount(batch_V, minlength=len(visits.in_batch_B))
    if len(sizes_B) != len(visits.in_batch_B) or (len(batch_V) and (np.diff(batch_V) < 0).any()):
        message = f"plan {name!r}: batches are not numbered from 0 in the order of their visits"
        raise ContractError(message)
    if len(sizes_B) and (sizes_B.min() < 1 or sizes_B.max() > size):
        message = f"plan {name!r}: batches have {sizes_B.min()} to {sizes_B.max()} queries, not 1 to {size}"
        raise ContractError(message)
    counts_Q = np.bincount(query_V, minlength=queries)
    twice = np.flatnonzero(counts_Q > 1)
    if len(twice) and repeats:
        pairs = batch_V * queries + query_V
        twice = twice if len(np.unique(pairs)) < len(pairs) else twice[:0]
    if len(twice):
        message = f"plan {name!r} visits queries twice: rows {listed([str(row) for row in twice[:20].tolist()])}"
        raise ContractError(message)
    if every and (counts_Q == 0).any():
        missing = np.flatnonzero(counts_Q == 0)
        message = f"plan {name!r} leaves out {len(missing)} queries: rows {listed([str(r) for r in missing[:20]])}"
        raise ContractError(message)
