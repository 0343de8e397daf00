"""Inverted lists: documents cut into cells of a k-means partition, and the search of a few cells for each query.

faiss searches query by query and reads every list again for each; measured, that is no faster than exact search
at 200,000 documents. Here a list is read once for all queries of a block that probe it, as one matrix product, and
a score is looked at again only if it can still enter the list of its query. What comes out are the best documents
of the probed lists by canonical score, so that neither blocks nor threads nor the tiling can change it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

import faiss
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Matrix, Rows
from negset.indexes.kernels import edge_scores, keep_best, one_thread, rounding_margin, training_rows
from negset.indexes.kind import Setting
from negset.search import pair_scores

FEWEST: Final = 10_000
"""Documents below which exact search takes too little time for an index to save any, and lists would be short."""
_POINTS: Final = 40
"""Training points for each list: faiss' own lower bound is 39."""
_ITERATIONS: Final = 10
_BLOCK: Final = 8192  # queries searched at once
_FIRST: Final = 4  # documents in the first lists of a query, in multiples of those wanted; they set its threshold


@dataclass(frozen=True)
class Lists:
    """The lists of an index: those documents stand in list l whose places are `starts[l]:starts[l + 1]`.

    `row_N` gives the document row of a place, `read` the vectors of a list; `longest` bounds their length.
    """

    centroids_LD: Matrix
    starts: Rows
    row_N: Rows
    read: Callable[[int], Matrix]
    longest: float


@dataclass(frozen=True)
class Found:
    """Pairs of a query and a place with the float32 score of each."""

    query_P: Rows
    place_P: Rows
    score_P: Matrix


def list_count(documents: int) -> int:
    """Give the number of lists for so many `documents`: the power of two nearest to 2 * sqrt(documents)."""
    return max(int(2 ** round(np.log2(2 * np.sqrt(documents)))), 1)


def faiss_seed(seed: int) -> int:
    """Fold any `seed` into the positive 32-bit numbers that faiss takes."""
    return 1 + seed % (1 << 30)


def train_lists(index: faiss.IndexIVF, documents_ND: Matrix, seed: int) -> None:
    """Train `index` on a seeded sample of `documents_ND` and add them all, on one thread."""
    index.cp.niter, index.cp.seed = _ITERATIONS, faiss_seed(seed)
    sample = training_rows(len(documents_ND), _POINTS * index.nlist, seed)
    with one_thread():
        index.train(np.ascontiguousarray(documents_ND[sample]))
        index.add(np.ascontiguousarray(documents_ND))


def probe_settings(documents: int, fixed: Setting) -> list[Setting]:
    """List settings of `nprobe` that grow by about a fifth of a doubling each, up to all lists."""
    lists = list_count(documents)
    if fixed.nprobe:
        return [Setting(nprobe=min(fixed.nprobe, lists))]
    steps = sorted({min(round(4 * 2 ** (step / 3)), lists) for step in range(40)})
    return [Setting(nprobe=nprobe) for nprobe in steps]


def open_lists(index: faiss.IndexIVF, decode: Callable[[NDArray[np.uint8]], Matrix], longest: float) -> Lists:
    """Give the lists of `index` without a copy; `decode` turns the codes of documents into vectors."""
    invlists = cast("faiss.InvertedLists", index.invlists)
    sizes = np.array([invlists.list_size(number) for number in range(index.nlist)], dtype=np.int64)

    def read(number: int) -> Matrix:
        size = int(sizes[number]) * index.code_size
        return decode(faiss.rev_swig_ptr(invlists.get_codes(number), size).reshape(-1, index.code_size))

    rows = [faiss.rev_swig_ptr(invlists.get_ids(n), int(size)).copy() for n, size in enumerate(sizes) if size]
    return Lists(
        centroids_LD=index.quantizer.reconstruct_n(0, index.nlist),
        starts=np.r_[0, np.cumsum(sizes)],
        row_N=np.concatenate(rows),
        read=read,
        longest=longest,
    )


def search_lists(lists: Lists, queries_QD: Matrix, count: int, nprobe: int) -> Rows:
    """Give the rows of the `count` best documents in the `nprobe` nearest lists of each query; -1 for none left.

    Blocks of queries are shared out among threads: the products are too small to be split among them themselves.
    """
    workers = faiss.omp_get_max_threads()
    size = max(min(-(-len(queries_QD) // workers), _BLOCK), 1)
    blocks = [queries_QD[start : start + size] for start in range(0, len(queries_QD), size)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda block_QD: _search_block(lists, block_QD, count, nprobe), blocks))
    return np.concatenate([np.empty((0, count), dtype=np.int64), *found])


def nearest_lists(queries_QD: Matrix, centroids_LD: Matrix, nprobe: int) -> tuple[Rows, Matrix]:
    """Give the `nprobe` lists of each query whose centroids score best, ties to the smaller, by number.

    The scores beside them are those of a matrix product: do not let their last bits decide anything.
    """
    score_QL = queries_QD @ centroids_LD.T
    nprobe = min(nprobe, len(centroids_LD))
    edge_Q1 = -np.partition(-score_QL, nprobe - 1, axis=1)[:, nprobe - 1 : nprobe]
    margin_Q = rounding_margin(queries_QD, longest(centroids_LD))
    query_P, list_P = np.nonzero(score_QL >= edge_Q1 - margin_Q[:, None])
    kept = np.sort(
        keep_best(
            query_P,
            list_P,
            score_QL[query_P, list_P],
            nprobe,
            margin_Q,
            lambda places: pair_scores(queries_QD, centroids_LD, query_P[places], list_P[places]),
        )
    )
    list_QP = list_P[kept].reshape(len(queries_QD), nprobe)
    return list_QP, np.take_along_axis(score_QL, list_QP, axis=1)


def longest(vectors_ND: Matrix) -> float:
    """Give the length of the longest vector."""
    return float(np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND).max(initial=0.0)))


def _search_block(lists: Lists, queries_QD: Matrix, count: int, nprobe: int) -> Rows:
    """Search the first few lists of each query for a threshold, and the others above it."""
    probe_QP, near_QP = nearest_lists(queries_QD, lists.centroids_LD, nprobe)
    probe_QP = np.take_along_axis(probe_QP, np.argsort(-near_QP, axis=1), axis=1)
    margin_Q = rounding_margin(queries_QD, lists.longest)
    size_QP = np.diff(lists.starts)[probe_QP]
    first_QP = np.cumsum(size_QP, axis=1) - size_QP < _FIRST * count
    floor_Q = np.full(len(queries_QD), -np.inf, dtype=np.float32)
    head = _join(_scan(lists, queries_QD, probe_QP, first_QP, floor_Q))
    edge_Q = edge_scores(head.query_P, head.score_P, count, len(queries_QD))
    floor_Q = np.nextafter(edge_Q - margin_Q.astype(np.float32), np.float32(-np.inf))
    head = _select(head, np.flatnonzero(head.score_P >= floor_Q[head.query_P]))
    tail = _scan(lists, queries_QD, probe_QP, ~first_QP, floor_Q)
    found = _join([head, *tail])
    kept = keep_best(
        found.query_P,
        lists.row_N[found.place_P],
        found.score_P,
        count,
        margin_Q,
        lambda places: _canonical(lists, queries_QD, found.query_P[places], found.place_P[places]),
    )
    return _as_matrix(found.query_P[kept], lists.row_N[found.place_P[kept]], len(queries_QD), count)


def _scan(
    lists: Lists, queries_QD: Matrix, probe_QP: Rows, wanted_QP: NDArray[np.bool_], floor_Q: NDArray[np.float32]
) -> Iterator[Found]:
    """Score each list against the queries that want it, and yield what reaches the floor of its query."""
    query, place = np.nonzero(wanted_QP)
    number = probe_QP[query, place]
    order = np.argsort(number, kind="stable")
    query, number = query[order], number[order]
    cuts = np.flatnonzero(number[1:] != number[:-1]) + 1
    for begin, end in pairwise([0, *cuts.tolist(), len(number)]) if len(number) else ():
        listed, asking_M = int(number[begin]), query[begin:end]
        if lists.starts[listed] == lists.starts[listed + 1]:
            continue
        score_MN = queries_QD[asking_M] @ lists.read(listed).T
        flat = np.flatnonzero(score_MN >= floor_Q[asking_M][:, None])
        row, column = np.divmod(flat, score_MN.shape[1])
        yield Found(asking_M[row], column + lists.starts[listed], score_MN.ravel()[flat])


def _canonical(lists: Lists, queries_QD: Matrix, query_P: Rows, place_P: Rows) -> Floats:
    """Score pairs by the vectors that the lists hold."""
    place_U, which_P = np.unique(place_P, return_inverse=True)
    number_U = np.searchsorted(lists.starts, place_U, side="right") - 1
    vectors_UD = np.empty((len(place_U), queries_QD.shape[1]), dtype=np.float32)
    for number in np.unique(number_U).tolist():
        here = np.flatnonzero(number_U == number)
        vectors_UD[here] = lists.read(number)[place_U[here] - lists.starts[number]]
    return pair_scores(queries_QD, vectors_UD, query_P, which_P)


def _join(parts: "list[Found] | Iterator[Found]") -> Found:
    whole = list(parts)
    return Found(
        np.concatenate([np.empty(0, dtype=np.int64), *(part.query_P for part in whole)]),
        np.concatenate([np.empty(0, dtype=np.int64), *(part.place_P for part in whole)]),
        np.concatenate([np.empty(0, dtype=np.float32), *(part.score_P for part in whole)]),
    )


def _select(found: Found, places: Rows) -> Found:
    return Found(found.query_P[places], found.place_P[places], found.score_P[places])


def _as_matrix(query_P: Rows, row_P: Rows, queries: int, count: int) -> Rows:
    """Put the rows of each query in a line, ascending, and -1 where there are fewer than `count`."""
    order = np.lexsort((row_P, query_P))
    query, row = query_P[order], row_P[order]
    places = np.arange(len(query)) - np.searchsorted(query, query)
    rows_QK = np.full((queries, count), -1, dtype=np.int64)
    rows_QK[query, places] = row
    return rows_QK
