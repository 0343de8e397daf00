"""Clusters of queries, the same whatever the order of rows: k-means, or spectral with a scale for each point.

Spectral clusters follow shapes that k-means cuts (rings, chains). One width for all points fails on those: PASER's
(arXiv 2502.12594) median distance is far wider than the gap between two rings. So each point has a width of its own,
the distance to its seventh neighbour (Zelnik-Manor and Perona, NIPS 2004). No matrix is larger than landmarks².
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.lots import mix

LANDMARKS: Final = 2000
"""Points of which a matrix of affinities is made; the others follow their nearest."""
NEIGHBOUR: Final = 7
"""Which neighbour's distance is a point's width."""
SAMPLE: Final = 10_000
"""Points that k-means is fitted on; the others get the nearest centre."""
_STARTS: Final = 10
_STEPS: Final = 100
_LEAST_WIDTH: Final = 1e-12
"""Width of a point that coincides with all its neighbours."""
_BLOCK: Final = 4096


def cluster_rows(
    vectors_QD: Floats, keys_Q: NDArray[np.uint64], clusters: int, method: Literal["kmeans", "spectral"] = "kmeans"
) -> Rows:
    """Give the cluster of each row of `vectors_QD`, numbered from 0 in the order of their smallest key.

    `keys_Q` are hashes of the rows' ids (`negset.lots.id_keys`): rows are worked on in their order, so that the
    order they come in does not matter, and where there are many, those with the smallest keys decide. Rows fewer than
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
    """Fit centres on the first rows, the best of several starts, and give each row its nearest."""
    sample_SD = vectors_QD[:SAMPLE]
    fits = [_lloyd(sample_SD, _spread_centres(sample_SD, clusters, start)) for start in range(_STARTS)]
    best = min(range(_STARTS), key=lambda start: fits[start][1])
    return _nearest(vectors_QD, fits[best][0])


def _spread_centres(vectors_SD: Floats, clusters: int, start: int) -> Floats:
    """Draw centres, each with a chance by its squared distance to those before (k-means++, Arthur, Vassilvitskii)."""
    lots_C = mix(mix(np.arange(clusters, dtype=np.uint64) + (np.uint64(start) << np.uint64(32)))) * 2.0**-64
    rows = [int(lots_C[0] * len(vectors_SD))]
    gap_S = _squares(vectors_SD, vectors_SD[rows])[:, 0]
    for lot in lots_C[1:]:
        share_S = np.cumsum(gap_S)
        rows.append(min(int(np.searchsorted(share_S, lot * share_S[-1], side="right")), len(vectors_SD) - 1))
        gap_S = np.minimum(gap_S, _squares(vectors_SD, vectors_SD[rows[-1:]])[:, 0])
    return vectors_SD[rows]


def _lloyd(vectors_SD: Floats, centres_CD: Floats) -> tuple[Floats, float]:
    """Move the centres to the means of what is nearest to them until nothing changes; give their total error too."""
    before_S, length_S = np.full(len(vectors_SD), -1), (vectors_SD**2).sum(axis=1)
    for _ in range(_STEPS):
        squares_SC = _squares(vectors_SD, centres_CD, length_S)
        nearest_S = squares_SC.argmin(axis=1)
        if (nearest_S == before_S).all():
            break
        before_S, size_C = nearest_S, np.bincount(nearest_S, minlength=len(centres_CD))
        sums_CD = np.stack([vectors_SD[nearest_S == cluster].sum(axis=0) for cluster in range(len(centres_CD))])
        # A centre to which nothing is nearest goes to what is farthest from its own.
        lone = np.argsort(-squares_SC.min(axis=1), kind="stable")[: int((size_C == 0).sum())]
        sums_CD[size_C == 0] = vectors_SD[lone]
        centres_CD = sums_CD / np.maximum(size_C, 1)[:, None]
    return centres_CD, float(_squares(vectors_SD, centres_CD).min(axis=1).sum())


def _nearest(vectors_QD: Floats, centres_CD: Floats) -> Rows:
    """Give the row of the nearest of `centres_CD`, a block of rows at a time."""
    starts = range(0, len(vectors_QD), _BLOCK)
    found = [_squares(vectors_QD[start : start + _BLOCK], centres_CD).argmin(axis=1) for start in starts]
    return np.concatenate(found).astype(np.int64)


def _spectral(vectors_QD: Floats, clusters: int) -> Rows:
    marks_LD = vectors_QD[:LANDMARKS]
    of_mark_L = _kmeans(spectral_coordinates(marks_LD, clusters), clusters)
    return np.asarray(of_mark_L[_nearest(vectors_QD, marks_LD)], dtype=np.int64)


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
    vectors_LK = np.linalg.eigh(affinity_LL)[1][:, -width:]
    lengths_L = np.maximum(np.linalg.norm(vectors_LK, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(vectors_LK / lengths_L, dtype=np.float64)


def _squares(left_ND: Floats, right_MD: Floats, length_N: Floats | None = None) -> Floats:
    """Give all squared distances; `length_N` are the squared lengths of the left ones, where they are known."""
    length_N = (left_ND**2).sum(axis=1) if length_N is None else length_N
    squares_NM = left_ND @ (-2 * right_MD.T)
    squares_NM += length_N[:, None]
    squares_NM += (right_MD**2).sum(axis=1)
    return np.asarray(np.maximum(squares_NM, 0.0, out=squares_NM), dtype=np.float64)
