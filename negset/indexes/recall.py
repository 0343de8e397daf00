"""What share of the exact candidates an index finds, and how hard it must search to find enough.

A document counts as found by its score: one that ties with the last exact candidate is as good as that one. The
queries that choose a setting are others than those that judge it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.indexes.kind import Setting
from negset.lots import id_keys, mix
from negset.search import Hits

SAMPLE: Final = 256
"""Queries that choose a setting, and as many others that judge it; the figure is then good to about half a point."""
_DOUBT: Final = 2.0  # standard errors by which the choosing queries must be above the target


def sampled_queries(query_ids: pl.Series, seed: int) -> tuple[Rows, Rows]:
    """Draw queries by a hash of `seed` and id: rows of those that choose a setting, and of those that judge it.

    Of one query alone, both are that query.
    """
    keys = mix(id_keys(query_ids) ^ mix(np.array([seed % (1 << 64)], dtype=np.uint64)))
    order = np.lexsort((np.arange(len(keys)), keys))[: 2 * SAMPLE]
    choosing, judging = np.sort(order[1::2]), np.sort(order[::2])
    return (choosing if len(choosing) else judging), judging


def found_shares(exact: Hits, found: Hits, queries: int) -> Floats:
    """Give, for each of so many `queries`, the share of its exact hits whose scores were found or tied with."""
    wanted_Q = np.bincount(exact.query, minlength=queries)
    last = np.flatnonzero(np.r_[exact.query[1:] != exact.query[:-1], True]) if len(exact) else np.empty(0, dtype=int)
    floor_Q = np.full(queries, np.inf)
    floor_Q[exact.query[last]] = exact.score[last]
    good_Q = np.bincount(found.query[found.score >= floor_Q[found.query]], minlength=queries)
    return np.minimum(good_Q, wanted_Q)[wanted_Q > 0] / wanted_Q[wanted_Q > 0]


def choose_setting(
    settings: Sequence[Setting], exact: Hits, queries: int, target: float, search: Callable[[Setting], Hits]
) -> Setting:
    """Give the first of `settings` that finds the `target` share of the `exact` hits beyond doubt, else the last."""
    for setting in settings[:-1]:
        if is_enough(found_shares(exact, search(setting), queries), target):
            return setting
    return settings[-1]


def is_enough(share_Q: NDArray[np.float64], target: float) -> bool:
    """Tell whether the mean share is the `target` or more, two standard errors taken off it."""
    if not len(share_Q):
        return True
    return bool(share_Q.mean() - _DOUBT * share_Q.std() / np.sqrt(len(share_Q)) >= target)
