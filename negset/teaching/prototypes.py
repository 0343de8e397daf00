"""Prototypes of documents: spherical k-means over unit vectors, the same on every machine and in any order of work.

Documents go to centroids by the exact search of mining, so that no product's rounding decides; the first centroids
are drawn by lots of the documents' ids. Of several attempts the one with the highest mean cosine stays: a single one
often leaves two clusters under one centroid.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix, Rows
from negset.lots import id_keys, mix
from negset.search import Backend, search_exact

_TURNS: Final = 16  # rounds of drawing the first centroids; up to so many clusters this is k-means++
_TRIALS: Final = 4  # draws in each of them, of which the one that leaves the smallest gaps stays
_ZERO: Final = 1e-6  # a mean shorter than this has no direction

Keys = NDArray[np.uint64]


def fit_prototypes(
    vectors_ND: Matrix, keys_N: Keys, clusters: int, seed: int, attempts: int, rounds: int, backend: Backend = "auto"
) -> Matrix:
    """Give the centroids, of length 1, of at most `clusters` clusters of the unit `vectors_ND`: (k, d).

    `keys_N` are hashes of the ids, ascending with the rows' order of the ids. What is left empty is no centroid.
    Each of the `attempts` stops after `rounds`, or when no document changes its cluster.
    """
    if not len(vectors_ND):
        return vectors_ND
    best: tuple[float, Matrix] | None = None
    for attempt in range(attempts):
        lots_N = mix(keys_N ^ id_keys([f"{seed}:prototype:{attempt}"]))
        centroids_KD = _first(vectors_ND, lots_N, min(clusters, len(vectors_ND)), backend)
        quality, centroids_KD = _settle(vectors_ND, centroids_KD, rounds, backend)
        if best is None or quality > best[0]:
            best = quality, centroids_KD
    return best[1] if best else vectors_ND[:0]


def nearest(vectors_ND: Matrix, centroids_KD: Matrix, backend: Backend = "auto") -> tuple[Rows, Floats]:
    """Give the row of the nearest centroid of each vector and its cosine; ties go to the smaller row."""
    if not len(vectors_ND):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
    hits = search_exact(vectors_ND, centroids_KD, np.ones(len(vectors_ND), dtype=np.int64), backend)
    return hits.doc, hits.score


def means(vectors_ND: Matrix, cluster_N: Rows) -> tuple[Matrix, Rows]:
    """Give the mean directions of the vectors of each cluster that has one, and which clusters these are, ascending."""
    order = np.argsort(cluster_N, kind="stable")
    there, starts = np.unique(cluster_N[order], return_index=True)
    if not len(there):
        return vectors_ND[:0], there
    sums_KD = np.add.reduceat(vectors_ND[order].astype(np.float64), starts, axis=0)
    length_K = np.linalg.norm(sums_KD, axis=1)
    kept = length_K > _ZERO
    return (sums_KD[kept] / length_K[kept, None]).astype(np.float32), there[kept]


def _settle(vectors_ND: Matrix, centroids_KD: Matrix, rounds: int, backend: Backend) -> tuple[float, Matrix]:
    """Move documents and centroids in turn; give the mean cosine to the nearest centroid, and the centroids."""
    before: Rows | None = None
    for _ in range(rounds):
        cluster_N, _cosine = nearest(vectors_ND, centroids_KD, backend)
        if before is not None and np.array_equal(cluster_N, before):
            break
        centroids_KD, there = means(vectors_ND, cluster_N)
        before = np.searchsorted(there, cluster_N)
    _, cosine_N = nearest(vectors_ND, centroids_KD, backend)
    return float(np.round(cosine_N.mean(), 6)), centroids_KD


def _first(vectors_ND: Matrix, lots_N: Keys, clusters: int, backend: Backend) -> Matrix:
    """Draw `clusters` documents, each with a chance that grows with its distance from those drawn before its round."""
    chosen = np.empty(0, dtype=np.int64)
    gap_N = np.ones(len(vectors_ND))
    turns = min(clusters, _TURNS)
    for turn in range(turns):
        wanted = clusters * (turn + 1) // turns - len(chosen)
        best: tuple[float, Rows, Floats] | None = None
        for trial in range(_TRIALS):
            drawn = _drawn(gap_N, mix(lots_N + np.uint64(turn * _TRIALS + trial)), wanted)
            if not len(drawn):
                break  # fewer distinct vectors than clusters
            left_N = np.maximum(1 - nearest(vectors_ND, vectors_ND[drawn], backend)[1], 0)
            left_N = np.minimum(gap_N, left_N) if turn else left_N
            if best is None or left_N.sum() < best[0]:
                best = float(left_N.sum()), drawn, left_N
        if best is None:
            break
        chosen, gap_N = np.concatenate([chosen, best[1]]), best[2]
    return vectors_ND[np.sort(chosen)]


def _drawn(gap_N: Floats, bits_N: Keys, wanted: int) -> Rows:
    """Draw `wanted` rows without replacement, each with a chance that grows with its gap, and none without a gap."""
    uniform_N = ((bits_N >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    with np.errstate(divide="ignore"):
        turn_N = np.log(gap_N) - np.log(-np.log(uniform_N))
    drawn = np.argsort(-turn_N, kind="stable")[:wanted]
    return drawn[gap_N[drawn] > 0]
