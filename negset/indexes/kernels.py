"""Numeric pieces that all kinds share: float32 scores of single pairs, and the best of pairs scored roughly.

A float32 matrix product differs in its last bits with its shape and its threads. `score_rows` does not: faiss
computes each of its scores by itself. `keep_best` orders pairs that a product scored by their canonical scores
wherever the product's rounding could have decided.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Matrix, Rows
from negset.lots import mix
from negset.search import HALF_STEP, ranks


def score_rows(queries_QD: Matrix, documents_ND: Matrix, rows_QK: Rows) -> Matrix:
    """Score the documents `rows_QK` of each query in float32, each pair by itself; -inf for the row -1."""
    queries_QD, rows_QK = np.ascontiguousarray(queries_QD), np.ascontiguousarray(rows_QK)
    scores_QK = np.empty(rows_QK.shape, dtype=np.float32)
    faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined] # their stubs lack it
        faiss.swig_ptr(scores_QK),
        faiss.swig_ptr(queries_QD),
        faiss.swig_ptr(documents_ND),
        faiss.swig_ptr(rows_QK),
        queries_QD.shape[1],
        *rows_QK.shape,
    )
    return scores_QK


def keep_best(
    query_P: Rows, key_P: Rows, score_P: Matrix, count: int, margin_Q: Floats, rescore: Callable[[Rows], Floats]
) -> Rows:
    """Give the places of the `count` best pairs of each query under the order (canonical score desc, key).

    `score_P` orders two pairs only where they are more than `margin_Q` apart; `rescore` gives canonical scores of
    pairs by their places.
    """
    gap_P = score_P - edge_scores(query_P, score_P, count, len(margin_Q))[query_P]
    sure = np.flatnonzero(gap_P > margin_Q[query_P])
    close = np.flatnonzero(np.abs(gap_P) <= margin_Q[query_P])
    open_Q = count - np.bincount(query_P[sure], minlength=len(margin_Q))
    settled_Q = np.bincount(query_P[close], minlength=len(margin_Q)) <= open_Q
    taken = close[settled_Q[query_P[close]]]
    doubtful = close[~settled_Q[query_P[close]]]
    if len(doubtful):
        place = np.lexsort((key_P[doubtful], -rescore(doubtful), query_P[doubtful]))
        ranked = doubtful[place]
        taken = np.concatenate([taken, ranked[ranks(query_P[ranked]) <= open_Q[query_P[ranked]]]])
    return np.concatenate([sure, taken])


def edge_scores(query_P: Rows, score_P: Matrix, count: int, queries: int) -> Matrix:
    """Give the score at place `count` of each of so many `queries`, -inf for one that has fewer pairs."""
    edge_Q = np.full(queries, -np.inf, dtype=np.float32)
    ends = np.cumsum(np.bincount(query_P, minlength=queries))
    ordered_P = score_P[np.argsort(query_P, kind="stable")]
    for query, (begin, end) in enumerate(zip(np.r_[0, ends[:-1]].tolist(), ends.tolist(), strict=True)):
        if end - begin >= count:
            place = end - begin - count
            edge_Q[query] = np.partition(ordered_P[begin:end], place)[place]
    return edge_Q


def rounding_margin(queries_QD: Matrix, longest: float) -> Floats:
    """Bound, for each query, how far apart two float32 scores may be whose canonical order is the other way round.

    Twice the error of a float32 inner product (Higham 2002, section 3.1) and a step of a canonical score, for
    documents of length `longest` at most.
    """
    error = (1.01 * queries_QD.shape[1] + 4) * 2.0**-24
    lengths_Q = np.sqrt(np.einsum("qd,qd->q", queries_QD, queries_QD, dtype=np.float64))
    return np.asarray(2 * error * longest * lengths_Q + 2 * HALF_STEP, dtype=np.float64)


def training_rows(documents: int, wanted: int, seed: int) -> Rows:
    """Draw `wanted` of so many `documents` by a hash of `seed` and row, in the order of the rows."""
    start = np.uint64(seed % (1 << 32)) << np.uint64(32)
    keys: NDArray[np.uint64] = mix(start + np.arange(documents, dtype=np.uint64))
    return np.sort(np.argsort(keys, kind="stable")[:wanted])


@contextmanager
def one_thread() -> Iterator[None]:
    """Let faiss and the matrix products run on one thread: sums that threads split differ in their last bits."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        faiss.omp_set_num_threads(before)
