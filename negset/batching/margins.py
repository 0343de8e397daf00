"""A pair for each visit, drawn evenly over easy and hard: first a bin of margins, then a pair in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.batching.inputs import ScoredPairs
from negset.lots import mix
from negset.training.examples import Groups


@dataclass(frozen=True)
class BinnedPairs:
    """Scored pairs, and in which bin of its query's margins each lies. Rows ascend by query."""

    query_P: Rows
    positive_P: Rows
    negative_P: Rows
    bin_P: Rows


def bin_margins(pairs: ScoredPairs, bins: int, *, equal_counts: bool = False) -> BinnedPairs:
    """Put the pairs of each query into `bins` of equal width between its smallest and largest margin.

    Equal margins are one bin. With `equal_counts` the bins are of equal counts in place of equal width, and equal
    margins still share one.
    """
    order = np.lexsort((pairs.margin_P, pairs.query_P))
    starts, sizes = _runs(pairs.query_P[order])
    margin_P = pairs.margin_P[order]
    if equal_counts:
        fresh = np.r_[True, (np.diff(margin_P) != 0) | (np.diff(pairs.query_P[order]) != 0)][: len(order)]
        first = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0)) - np.repeat(starts, sizes)
        bin_P = first * bins // np.repeat(sizes, sizes)
    else:
        low, high = np.repeat(margin_P[starts], sizes), np.repeat(margin_P[starts + sizes - 1], sizes)
        width = np.where(high > low, high - low, 1.0)
        bin_P = np.minimum(((margin_P - low) / width * bins).astype(np.int64), bins - 1)
    found = np.empty(len(order), dtype=np.int64)
    found[order] = bin_P
    return BinnedPairs(pairs.query_P, pairs.positive_P, pairs.negative_P, found)


def draw_pairs(
    pairs: BinnedPairs, query_V: Rows, keys_V: NDArray[np.uint64], document_keys_D: NDArray[np.uint64]
) -> tuple[Rows, Floats]:
    """Give for each visit one of its query's pairs, -1 where it has none, and the chance that it was drawn with.

    Each bin that is not empty has the same chance, each pair in it too; `keys_V` are the lots of the visits.
    """
    by_query = Groups(np.searchsorted(pairs.query_P, np.arange(int(query_V.max(initial=-1)) + 2)), pairs.query_P)
    visit_E, entry_E = np.repeat(np.arange(len(query_V)), by_query.sizes()[query_V]), by_query.entries(query_V)
    lot_E = mix(keys_V[visit_E] + pairs.bin_P[entry_E].astype(np.uint64))
    least_V, size_V = np.zeros(len(query_V), dtype=np.uint64), np.zeros(len(query_V), dtype=np.int64)
    starts, _ = _runs(visit_E)
    least_V[visit_E[starts]] = np.minimum.reduceat(lot_E, starts) if len(starts) else lot_E
    bins_V = _distinct(visit_E, pairs.bin_P[entry_E], len(query_V))
    inside = lot_E == least_V[visit_E]
    visit_E, entry_E = visit_E[inside], entry_E[inside]
    size_V += np.bincount(visit_E, minlength=len(query_V))
    documents_E = mix(document_keys_D[pairs.positive_P[entry_E]]) + document_keys_D[pairs.negative_P[entry_E]]
    order = np.lexsort((entry_E, mix(keys_V[visit_E] ^ mix(documents_E)), visit_E))
    starts, _ = _runs(visit_E[order])
    pair_V = np.full(len(query_V), -1, dtype=np.int64)
    pair_V[visit_E[order][starts]] = entry_E[order][starts]
    chance_V = np.where(pair_V >= 0, 1.0 / np.maximum(bins_V * size_V, 1), np.nan)
    return pair_V, chance_V


def own_or_drawn(own: Groups, query_V: Rows, has_V: NDArray[np.bool_], drawn: Rows) -> Groups:
    """Give the negatives of each visit: the next of `drawn` where it `has_V` one, else all of its query's `own`."""
    size_V = np.where(has_V, 1, own.sizes()[query_V])
    offsets = np.r_[0, np.cumsum(size_V)].astype(np.int64)
    rows = np.empty(int(offsets[-1]), dtype=np.int64)
    rows[offsets[:-1][has_V]] = drawn
    rows[np.repeat(~has_V, size_V)] = own.rows[own.entries(query_V[~has_V])]
    return Groups(offsets, rows)


def _runs(sorted_N: Rows) -> tuple[Rows, Rows]:
    """Give where each run of equal values begins and how long it is."""
    starts = np.flatnonzero(np.r_[True, np.diff(sorted_N) != 0][: len(sorted_N)])
    return starts, np.diff(np.r_[starts, len(sorted_N)])


def _distinct(visit_E: Rows, bin_E: Rows, visits: int) -> Rows:
    """Count the bins of each visit that are not empty."""
    bins = int(bin_E.max(initial=0)) + 1
    return np.bincount(np.unique(visit_E * bins + bin_E) // bins, minlength=visits)
