"""Clusters of queries, the same whatever the order of rows: k-means, or spectral with a scale for each point.

Spectral clusters follow shapes that k-means cuts (rings, chains). One width for all points fails on those: PASER's
(arXiv 2502.12594) median distance is far wider than the gap between two rings. So each point has a width of its own,
the distance to its seventh neighbour (Zelnik-Manor and Perona, NIPS 2004). No matrix is larger than landmarks².
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Rows
from negset.errors import ConfigError

LANDMARKS: Final = 2000
"""Points of which a matrix of affinities is made; the others follow their nearest."""
NEIGHBOUR: Final = 7
"""Which neighbour's distance is a point's width."""
_STARTS: Final = 10
_LEAST_WIDTH: Final = 1e-12
"""Width of a point that coincides with all its neighbours."""
_BLOCK: Final = 4096


def cluster_rows(
    vectors_QD: Floats, keys_Q: NDArray[np.uint64], clusters: int, method: Literal["kmeans", "spectral"] = "kmeans"
) -> Rows:
    """Give the cluster of each row of `vectors_QD`, numbered from 0 in the order of their smallest key.

    `keys_Q` are hashes of the rows' ids (`negset.lots.id_keys`): rows are worked on in their order, so that the
    order they come in does not matter, and spectral clusters take the smallest as landmarks. Rows fewer than
    `clusters` have a cluster each. Raises ConfigError for fewer than one cluster.
    """
    if clusters < 1:
        message = f"queries were to be put into {clusters} clusters; it takes one at least"
        raise ConfigError(message)
    order = np.argsort(keys_Q, kind="stable")
    wanted = min(clusters, len(order))
    found = np.zeros(len(order), dtype=np.int64)
    if wanted:
        with threadpool_limits(1):  # the last bits of a product depend on the number of threads
            cluster = _kmeans if method == "kmeans" else _spectral
            found[order] = cluster(np.asarray(vectors_QD, dtype=np.float64)[order], wanted)
    _, first, cluster_Q = np.unique(found[order], return_index=True, return_inverse=True)
    found[order] = np.argsort(np.argsort(first))[cluster_Q]
    return found


def _kmeans(vectors_QD: Floats, clusters: int) -> Rows:
    fitted = KMeans(clusters, n_init=_STARTS, random_state=0).fit(vectors_QD)
    return np.asarray(fitted.labels_, dtype=np.int64)


def _spectral(vectors_QD: Floats, clusters: int) -> Rows:
    marks_LD = vectors_QD[:LANDMARKS]
    of_mark_L = _kmeans(spectral_coordinates(marks_LD, clusters), clusters)
    nearest = [
        _squares(vectors_QD[start : start + _BLOCK], marks_LD).argmin(axis=1)
        for start in range(0, len(vectors_QD), _BLOCK)
    ]
    return np.asarray(of_mark_L[np.concatenate(nearest)], dtype=np.int64)


def spectral_coordinates(vectors_LD: Floats, width: int, scale: float | None = None) -> Floats:
    """Give the first `width` eigenvectors of the symmetric normalised affinity, rows of length 1.

    The affinity of two points is exp(-distance² / (a b)), a and b being their own widths, or `scale` for all.
    """
    squares_LL = _squares(vectors_LD, vectors_LD)
    if scale is None:
        at = min(NEIGHBOUR, len(squares_LL) - 1)
        own_L = np.sqrt(np.partition(squares_LL, at, axis=1)[:, at])
        own_L = np.maximum(own_L, _LEAST_WIDTH)
    else:
        own_L = np.full(len(squares_LL), scale)
    affinity_LL = np.exp(-squares_LL / np.outer(own_L, own_L))
    np.fill_diagonal(affinity_LL, 0.0)
    shrink_L = 1 / np.sqrt(np.maximum(affinity_LL.sum(axis=1), np.finfo(np.float64).tiny))
    affinity_LL *= np.outer(shrink_L, shrink_L)
    last = len(affinity_LL) - 1
    vectors_LK = eigh(affinity_LL, subset_by_index=[max(last - width + 1, 0), last])[1]
    lengths_L = np.maximum(np.linalg.norm(vectors_LK, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(vectors_LK / lengths_L, dtype=np.float64)


def _squares(left_ND: Floats, right_MD: Floats) -> Floats:
    """Give all squared distances."""
    products_NM = left_ND @ right_MD.T
    lengths = (left_ND**2).sum(axis=1)[:, None] + (right_MD**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(lengths - 2 * products_NM, 0.0), dtype=np.float64)
