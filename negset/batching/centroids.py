"""Spherical k-means of queries: the same clusters whatever the order of rows and the number of threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix, Rows
from negset.indexes.kernels import one_thread
from negset.lots import mix
from negset.search import usable_threads

_BLOCK: Final = 4096
_PER_CLUSTER: Final = 64  # points that a centre is fitted on: more move it by less than it matters
_PER_SEED: Final = 16  # points that the first centres are drawn from
_STEPS: Final = 15
_STARTS: Final = 5
_FEW: Final = 256  # clusters: with more, one start is nearly as good and four more cost minutes


def cluster_vectors(vectors_QD: Matrix, keys_Q: NDArray[np.uint64], clusters: int, seed: int) -> Rows:
    """Give the cluster of each row of `vectors_QD`, numbered from 0 in the order of their smallest key.

    Of many rows those with the smallest keys decide where the centres are. Fewer rows than `clusters` have one each;
    a centre that nothing is nearest to is no cluster.
    """
    order = np.argsort(keys_Q, kind="stable")
    found = np.arange(len(order), dtype=np.int64)
    if len(order) > clusters:
        with one_thread():
            sample = order[: clusters * _PER_CLUSTER]
            centres_CD = fit_centres(np.ascontiguousarray(vectors_QD[sample]), clusters, seed)
            found[order] = nearest_centre(vectors_QD, order, centres_CD)
    if not len(order):
        return found
    _, first, cluster_Q = np.unique(found[order], return_index=True, return_inverse=True)
    found[order] = np.argsort(np.argsort(first))[cluster_Q]
    return found


def fit_centres(vectors_SD: Matrix, clusters: int, seed: int) -> Matrix:
    """Fit `clusters` centres of length one, the best of several starts where they are few."""
    vectors_SD = vectors_SD.astype(np.float32, copy=False)
    starts = _STARTS if clusters <= _FEW else 1
    fits = [
        _fit(vectors_SD, spread_centres(vectors_SD[: clusters * _PER_SEED], clusters, seed + start))
        for start in range(starts)
    ]
    if starts == 1:
        return fits[0]
    rows = np.arange(len(vectors_SD))
    fitness = [float(_best_cosines(vectors_SD, rows, centres_CD).sum()) for centres_CD in fits]
    return fits[int(np.argmax(np.round(fitness, 4)))]


def _fit(vectors_SD: Matrix, centres_CD: Matrix) -> Matrix:
    fit = faiss.Kmeans(
        vectors_SD.shape[1],
        len(centres_CD),
        niter=_STEPS,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_PER_CLUSTER + 1,
    )
    fit.train(vectors_SD, init_centroids=centres_CD)
    return np.asarray(fit.centroids, dtype=np.float32)


def spread_centres(vectors_SD: Matrix, clusters: int, seed: int) -> Matrix:
    """Draw `clusters` of the rows: of a few drawn with chances by distance to those before, the best (k-means++).

    Rows that are drawn evenly leave some of even ten well parted clusters without a centre in most tries.
    """
    tries = 2 + int(np.log(clusters))
    first = np.uint64(seed % (1 << 31)) << np.uint64(32)
    lots_CT = mix(mix(np.arange(clusters * tries, dtype=np.uint64) + first)).reshape(clusters, tries) * 2.0**-64
    rows = [int(lots_CT[0, 0] * len(vectors_SD))]
    gap_S = np.maximum(1.0 - vectors_SD @ vectors_SD[rows[0]], 0.0)
    for lots_T in lots_CT[1:]:
        share_S = np.cumsum(gap_S, dtype=np.float64)
        tried_T = np.minimum(np.searchsorted(share_S, lots_T * share_S[-1], side="right"), len(vectors_SD) - 1)
        gap_ST = np.minimum(gap_S[:, None], np.maximum(1.0 - vectors_SD @ vectors_SD[tried_T].T, 0.0))
        best = int(np.argmin(np.round(gap_ST.sum(axis=0, dtype=np.float64), 4)))
        rows.append(int(tried_T[best]))
        gap_S = gap_ST[:, best]
    return np.ascontiguousarray(vectors_SD[rows])


def nearest_centre(vectors_QD: Matrix, rows: Rows, centres_CD: Matrix) -> Rows:
    """Give for each of `rows` its nearest centre; products have one shape, whatever the number of threads."""
    parts = _by_block(rows, lambda block: (vectors_QD[block] @ centres_CD.T).argmax(axis=1))
    return np.concatenate(parts).astype(np.int64)


def _best_cosines(vectors_QD: Matrix, rows: Rows, centres_CD: Matrix) -> Floats:
    parts = _by_block(rows, lambda block: (vectors_QD[block] @ centres_CD.T).max(axis=1))
    return np.concatenate(parts).astype(np.float64)


def _by_block(rows: Rows, compute: Callable[[Rows], NDArray[Any]]) -> list[NDArray[Any]]:
    with ThreadPoolExecutor(usable_threads()) as pool:
        return list(pool.map(compute, [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]))
