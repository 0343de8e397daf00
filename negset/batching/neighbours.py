"""Which queries are near each other: by their vectors, or on the globe."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from negset.arrays import Floats, Matrix, Rows
from negset.batching.bisection import bisect, halvings, part_sizes
from negset.indexes.kernels import one_thread
from negset.mining.places import distance_km, placed, unit_vectors
from negset.search import canonical, search_exact, usable_threads

_EXACT: Final = 60_000  # rows up to which all pairs are compared; their number grows with the square
_PART: Final = 1000
_PROBES: Final = 10  # parts that a row is compared with


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each row, nearest first, itself left out: (Q, K), -1 where there are no more.

    `distance_QK` is 1 - cosine, or km; infinite where there is no neighbour.
    """

    rows_QK: NDArray[np.int32]
    distance_QK: NDArray[np.float32]


def nearest_vectors(vectors_QD: Matrix, keys_Q: NDArray[np.uint64], count: int, seed: int) -> Neighbours:
    """Give the `count` nearest rows of each row by cosine; ties to the smaller key.

    Vectors have length one. Up to 60,000 rows the lists are exact. Beyond that a row is compared with the rows of
    the ten parts, of about 1,000 rows each, whose centres are nearest to it.
    """
    order = np.argsort(keys_Q, kind="stable")
    if len(order) <= _EXACT:
        found = _exact(np.ascontiguousarray(vectors_QD[order]), min(count, max(len(order) - 1, 0)), count)
    else:
        found = _by_parts(vectors_QD[order], keys_Q[order], count, seed)
    return _renumbered(found, order)


def _exact(vectors_ND: Matrix, count: int, width: int) -> Neighbours:
    rows_NK = np.full((len(vectors_ND), width), -1, dtype=np.int32)
    distance_NK = np.full(rows_NK.shape, np.inf, dtype=np.float32)
    if count:
        hits = search_exact(vectors_ND, vectors_ND, np.full(len(vectors_ND), count + 1), "cpu")
        other = hits.query != hits.doc
        query, doc, score = hits.query[other], hits.doc[other], hits.score[other]
        starts = np.searchsorted(query, np.arange(len(vectors_ND)))
        rank = np.arange(len(query)) - starts[query]
        kept = rank < count  # one that its own twins crowd out of its list has one neighbour too many
        rows_NK[query[kept], rank[kept]] = doc[kept]
        distance_NK[query[kept], rank[kept]] = 1.0 - score[kept]
    return Neighbours(rows_NK, distance_NK)


def _by_parts(vectors_ND: Matrix, keys_N: NDArray[np.uint64], count: int, seed: int) -> Neighbours:
    depth = halvings(len(vectors_ND), _PART)
    order = bisect(vectors_ND, keys_N, depth, seed)
    borders = np.r_[0, np.cumsum(part_sizes(len(order), depth))]
    members = [np.sort(order[start:end]) for start, end in pairwise(borders.tolist())]
    centres_PD = np.stack([vectors_ND[rows].mean(axis=0) for rows in members])
    rows_NK = np.full((len(order), count), -1, dtype=np.int32)
    distance_NK = np.full(rows_NK.shape, np.inf, dtype=np.float32)

    def search(part: int) -> None:
        rows = members[part]
        near_P = np.argsort(-canonical((centres_PD @ centres_PD[part]).astype(np.float64)), kind="stable")[:_PROBES]
        other = np.sort(np.concatenate([members[near] for near in near_P]))
        cosine_MC = vectors_ND[rows] @ vectors_ND[other].T
        cosine_MC[np.arange(len(rows)), np.searchsorted(other, rows)] = -np.inf
        kept = min(count, len(other) - 1)
        top_MK = np.argpartition(-cosine_MC, kept - 1, axis=1)[:, :kept]
        score_MK = canonical(np.take_along_axis(cosine_MC, top_MK, axis=1).astype(np.float64))
        best_MK = np.lexsort((top_MK, -score_MK), axis=1)
        rows_NK[rows, :kept] = other[np.take_along_axis(top_MK, best_MK, axis=1)]
        distance_NK[rows, :kept] = 1.0 - np.take_along_axis(score_MK, best_MK, axis=1)

    with one_thread(), ThreadPoolExecutor(usable_threads()) as pool:
        list(pool.map(search, range(len(members))))
    return Neighbours(rows_NK, distance_NK)


def nearest_places(degrees_Q2: Floats, keys_Q: NDArray[np.uint64], count: int) -> Neighbours:
    """Give the `count` nearest rows of each row on the globe, in km; ties to the smaller key.

    `degrees_Q2` are latitudes and longitudes in degrees; a row without a place (NaN) is nobody's neighbour. The
    straight line between two points of the globe grows with the way around it, so a tree of unit vectors finds
    them, across the date line and at the poles too. Degrees taken for radians would find other neighbours.
    """
    order = np.argsort(keys_Q, kind="stable")
    vectors_N3 = unit_vectors(degrees_Q2[order])
    there = placed(vectors_N3)
    found = Neighbours(
        np.full((len(order), count), -1, dtype=np.int32), np.full((len(order), count), np.inf, dtype=np.float32)
    )
    width = min(count + 1, len(there))
    if width > 1:
        _, near_MK = cKDTree(vectors_N3[there]).query(vectors_N3[there], k=width, workers=usable_threads())
        near_MK = _without_self(near_MK)
        left = np.repeat(np.arange(len(there)), near_MK.shape[1])
        km_MK = distance_km(vectors_N3[there][left], vectors_N3[there][near_MK.reshape(-1)]).reshape(near_MK.shape)
        km_MK = canonical(km_MK)
        best_MK = np.lexsort((near_MK, km_MK), axis=1)
        found.rows_QK[there, : near_MK.shape[1]] = there[np.take_along_axis(near_MK, best_MK, axis=1)]
        found.distance_QK[there, : near_MK.shape[1]] = np.take_along_axis(km_MK, best_MK, axis=1)
    return _renumbered(found, order)


def _without_self(near_MK: Rows) -> Rows:
    """Drop each row from its own list, or the last one where points at its very place crowd it out."""
    own_MK = near_MK == np.arange(len(near_MK))[:, None]
    own_MK[~own_MK.any(axis=1), -1] = True
    others_MK: Rows = near_MK[~own_MK].reshape(len(near_MK), -1)
    return others_MK


def _renumbered(found: Neighbours, order: Rows) -> Neighbours:
    """Give the lists of rows in `order` by the rows themselves."""
    rows_QK, distance_QK = np.empty_like(found.rows_QK), np.empty_like(found.distance_QK)
    rows_QK[order] = np.where(found.rows_QK < 0, -1, order[found.rows_QK]) if len(order) else found.rows_QK
    distance_QK[order] = found.distance_QK
    return Neighbours(rows_QK, distance_QK)
