"""Exact top-k by inner product, with one answer on every backend, tiling, thread count and device.

A matrix product differs in its last bits with its shape, its threads and the device. So a backend only
proposes: more than k documents are fetched, each pair is scored again in float64 in a fixed order and rounded
to 6 digits, ties go to the smaller document row, and the list is cut to k. What the backend left out is
bounded by the worst score it gave and the rounding error of a float32 product; queries for which that
bound does not settle the k-th place are searched a second time, by a scan that misses nothing.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ContractError, listed

Backend = Literal["auto", "faiss", "torch"]
Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

DIGITS: Final = 6
"""Digits of a canonical score: the jitter of a float32 product is below half a unit of the sixth."""
HALF_STEP: Final = 0.5 * 10.0**-DIGITS

_SLACK = 16  # fetched beyond k; measured: 12 settle all but a few queries of real collections
_CLASS = 32  # depths are rounded up to multiples of this, so that few groups of queries arise
_FAISS_QUERIES = 1024  # below that many queries faiss takes a path seven times slower than a matrix product
_FETCHED = 1 << 23  # entries of one fetched matrix, about 130 MB with ids and both scores
_PAIRS = 1024  # pairs rescored at once: their float64 rows stay in the cache
_TILE = 4096  # documents of one tile of the scan
_SCANNED = 256  # queries of one tile of the scan
_NVIDIA = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))


class Fetch(Protocol):
    """Give scores and document rows of about the `count` best documents of each query, both (Q, count)."""

    def __call__(self, queries_QD: Matrix, documents_ND: Matrix, count: int) -> tuple[Matrix, Rows]:
        """Search, exactly up to the rounding of float32."""


@dataclass(frozen=True)
class Hits:
    """Scored pairs as three arrays of one length, in the order (query, score descending, doc).

    `query` and `doc` are row numbers: of the queries and the documents that were searched.
    """

    query: Rows
    doc: Rows
    score: Floats

    def __len__(self) -> int:
        return len(self.query)


def search_exact(
    queries_QD: Matrix,
    documents_ND: Matrix,
    k_Q: NDArray[np.integer],
    backend: Backend = "auto",
    names: tuple[pl.Series, pl.Series] | None = None,
) -> Hits:
    """Give the `k_Q` best documents of each query by canonical inner product, ties to the smaller row.

    `names` are the ids of queries and documents, for messages. Fewer than k documents give all of them.
    Raises ContractError for vectors that are not finite, and for two widths.
    """
    query_names, doc_names = names or (None, None)
    if queries_QD.shape[1] != documents_ND.shape[1]:
        message = (
            f"query vectors have {queries_QD.shape[1]} dimensions, document vectors {documents_ND.shape[1]}: "
            "both must come from one encoder; embed them again"
        )
        raise ContractError(message)
    norms_Q = checked_norms(queries_QD, "query", query_names)
    norms_N = checked_norms(documents_ND, "document", doc_names)
    if not len(norms_Q) or not len(norms_N):
        return no_hits()
    queries_QD, documents_ND = _contiguous(queries_QD), _contiguous(documents_ND)
    wanted_Q: Rows = np.minimum(np.asarray(k_Q, dtype=np.int64), len(norms_N))
    error_Q = _rounding(queries_QD.shape[1]) * norms_Q * norms_N.max()
    parts, unsettled = [], []
    for rows, count in _groups(wanted_Q, len(norms_N)):
        hits, open_rows = _search_group(queries_QD, documents_ND, rows, wanted_Q, count, error_Q, backend)
        parts.append(hits)
        unsettled.append(open_rows)
    rows = np.concatenate([np.empty(0, dtype=np.int64), *unsettled])
    found = join_hits(parts)
    if len(rows):
        scanned = list(_scan(queries_QD, documents_ND, rows, wanted_Q, found))
        return top_hits(join_hits([found, *scanned]), wanted_Q)
    if len(parts) == 1:
        return found
    order = np.argsort(found.query, kind="stable")
    return Hits(found.query[order], found.doc[order], found.score[order])


def pair_scores(queries_QD: Matrix, documents_ND: Matrix, query_P: Rows, doc_P: Rows) -> Floats:
    """Score each pair of rows: the inner product in float64, rounded to 6 digits.

    Bit for bit the same whatever pairs stand beside it: the sum runs along one contiguous row at a time.
    """
    scores_P = np.empty(len(query_P), dtype=np.float64)
    for start in range(0, len(query_P), _PAIRS):
        part = slice(start, start + _PAIRS)
        left = queries_QD[query_P[part]].astype(np.float64)
        scores_P[part] = np.einsum("ij,ij->i", left, documents_ND[doc_P[part]].astype(np.float64))
    return canonical(scores_P)


def canonical(scores: Floats) -> Floats:
    """Round `scores` to 6 digits; minus zero becomes zero."""
    return np.round(scores, DIGITS) + 0.0


def top_hits(hits: Hits, k_Q: NDArray[np.integer]) -> Hits:
    """Merge `hits` under the one total order (score descending, doc ascending) and keep `k_Q` for each query.

    A pair that stands there twice is kept once, so that merging is associative, commutative and idempotent.
    """
    if not len(hits):
        return hits
    order = np.lexsort((hits.doc, -hits.score, hits.query))
    query, doc = hits.query[order], hits.doc[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (query[1:] != query[:-1]) | (doc[1:] != doc[:-1])
    order, query = order[fresh], query[fresh]
    kept = ranks(query) <= np.asarray(k_Q)[query]
    return Hits(query[kept], hits.doc[order[kept]], hits.score[order[kept]])


def ranks(query: Rows) -> Rows:
    """Count the entries of each run of equal values in the sorted `query`, from 1."""
    places = np.arange(len(query), dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]]) if len(query) else places
    return places - np.repeat(starts, np.diff(np.r_[starts, len(query)])) + 1


def join_hits(parts: Sequence[Hits]) -> Hits:
    """Put `parts` one after the other."""
    if not parts:
        return no_hits()
    return Hits(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.doc for part in parts]),
        np.concatenate([part.score for part in parts]),
    )


def no_hits() -> Hits:
    """Give the empty hits."""
    return Hits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


def checked_norms(vectors_ND: Matrix, role: str, names: pl.Series | None = None) -> Floats:
    """Give the length of each vector; raise ContractError naming the `role` and ids of those not finite."""
    norms_N = np.empty(len(vectors_ND), dtype=np.float64)
    for start in range(0, len(vectors_ND), _TILE):
        block = np.asarray(vectors_ND[start : start + _TILE], dtype=np.float64)
        norms_N[start : start + _TILE] = np.sqrt(np.einsum("ij,ij->i", block, block))
    bad = np.flatnonzero(~np.isfinite(norms_N))
    if len(bad):
        ids = [f"row {row}" for row in bad.tolist()] if names is None else names.gather(bad).to_list()
        message = f"{len(bad)} {role} vectors are not finite: {listed(ids)}. Check these texts and the encoder"
        raise ContractError(message)
    return norms_N


def chosen_backend(backend: Backend) -> Literal["faiss", "torch"]:
    """Resolve `auto`: torch where it is installed and the machine has an NVIDIA driver, else faiss.

    Looks for the driver's files only, since importing torch to ask it takes seconds.
    """
    if backend != "auto":
        return backend
    driver = any(path.exists() for path in _NVIDIA)
    return "torch" if driver and importlib.util.find_spec("torch") is not None else "faiss"


def fetch_matrix(queries_QD: Matrix, documents_ND: Matrix, count: int) -> tuple[Matrix, Rows]:
    """Fetch by matrix products of numpy, a tile of documents at a time; the fastest for few queries."""
    scores_QK = np.empty((len(queries_QD), 0), dtype=np.float32)
    rows_QK = np.empty((len(queries_QD), 0), dtype=np.int64)
    for start in range(0, len(documents_ND), 2 * _TILE):
        tile_QT = queries_QD @ documents_ND[start : start + 2 * _TILE].T
        tile_rows = np.arange(start, start + tile_QT.shape[1])
        scores_QK = np.hstack([scores_QK, tile_QT])
        rows_QK = np.hstack([rows_QK, np.broadcast_to(tile_rows, tile_QT.shape)])
        if scores_QK.shape[1] > count:
            best = np.argpartition(scores_QK, -count, axis=1)[:, -count:]
            scores_QK = np.take_along_axis(scores_QK, best, axis=1)
            rows_QK = np.take_along_axis(rows_QK, best, axis=1)
    return scores_QK, rows_QK


def _groups(k_Q: Rows, documents: int) -> Iterator[tuple[Rows, int]]:
    """Yield rows of queries with about the same depth, and how many documents to fetch for them.

    One query with 2,000 positives is a group of its own and makes no other list longer.
    """
    count_Q = np.minimum(-(-(k_Q + _SLACK) // _CLASS) * _CLASS, documents)
    for count in np.unique(count_Q).tolist():
        rows = np.flatnonzero((count_Q == count) & (k_Q > 0))
        size = max(_FETCHED // count, 1)
        for start in range(0, len(rows), size):
            yield rows[start : start + size], count


def _search_group(
    queries_QD: Matrix, documents_ND: Matrix, rows: Rows, k_Q: Rows, count: int, error_Q: Floats, backend: Backend
) -> tuple[Hits, Rows]:
    """Search the queries in `rows`; give their hits and the rows of those whose list is not settled."""
    raw_GK, doc_GK = _fetcher(backend, len(rows))(queries_QD[rows], documents_ND, count)
    if doc_GK.min(initial=0) < 0:
        message = f"the {backend} search gave no document for a query, though it has {len(documents_ND)} to choose from"
        raise ContractError(message)
    score_GK = pair_scores(queries_QD, documents_ND, np.repeat(rows, count), doc_GK.ravel()).reshape(doc_GK.shape)
    hits = _cut_rows(rows, doc_GK, score_GK, k_Q[rows])
    if count == len(documents_ND):
        return hits, rows[:0]
    worst_G = hits.score[np.flatnonzero(np.r_[hits.query[1:] != hits.query[:-1], True])]
    settled_G = raw_GK.min(axis=1) + error_Q[rows] < worst_G - HALF_STEP
    return hits, rows[~settled_G]


def _cut_rows(rows: Rows, doc_GK: Rows, score_GK: Floats, k_G: Rows) -> Hits:
    """Do what `top_hits` does for lists of one length without repetitions, several times faster."""
    by_doc_GK = np.argsort(doc_GK, axis=1)
    score_GK = np.take_along_axis(score_GK, by_doc_GK, axis=1)
    # A stable sort keeps equal scores in the order of their documents.
    by_score_GK = np.argsort(-score_GK, axis=1, kind="stable")
    order_GK = np.take_along_axis(by_doc_GK, by_score_GK, axis=1)
    kept_GK = np.arange(doc_GK.shape[1]) < k_G[:, None]
    docs, scores = np.take_along_axis(doc_GK, order_GK, axis=1), np.take_along_axis(score_GK, by_score_GK, axis=1)
    return Hits(np.repeat(rows, k_G), docs[kept_GK], scores[kept_GK])


def _fetcher(backend: Backend, queries: int) -> Fetch:
    chosen = chosen_backend(backend)
    if chosen == "faiss" and queries < _FAISS_QUERIES:
        return fetch_matrix
    return cast("Fetch", importlib.import_module(f"negset.search_{chosen}").fetch)


def _scan(queries_QD: Matrix, documents_ND: Matrix, rows: Rows, k_Q: Rows, found: Hits) -> Iterator[Hits]:
    """Search the queries in `rows` again, tile by tile in the order of the documents, and miss nothing.

    A pair is rescored unless its float32 score, plus the bound of its own rounding error, is too low for the
    list as it stands. The k-th score in `found` is a first bound. Once a list is full, a later document that
    ties with its end loses to the earlier ones, which is what makes thousands of ties cheap.
    """
    floor_Q = np.full(len(k_Q), -np.inf)
    last = np.flatnonzero(np.r_[found.query[1:] != found.query[:-1], True]) if len(found) else np.empty(0, dtype=int)
    floor_Q[found.query[last]] = found.score[last] - HALF_STEP
    gamma = _rounding(queries_QD.shape[1])
    for start in range(0, len(rows), _SCANNED):
        block = rows[start : start + _SCANNED]
        left, k_B = queries_QD[block], k_Q[block]
        hits, needed_B = no_hits(), floor_Q[block]
        for first in range(0, len(documents_ND), _TILE):
            tile = documents_ND[first : first + _TILE]
            reach = left @ tile.T + gamma * (np.abs(left) @ np.abs(tile).T)
            query_P, doc_P = np.nonzero(reach >= needed_B[:, None] - HALF_STEP / 4)
            fresh = Hits(query_P, doc_P + first, pair_scores(left, tile, query_P, doc_P))
            hits = top_hits(join_hits([hits, fresh]), k_B)
            needed_B = _raise_needed(needed_B, hits, k_B)
        yield Hits(block[hits.query], hits.doc, hits.score)


def _raise_needed(needed_B: Floats, hits: Hits, k_B: Rows) -> Floats:
    """Give the score a later document needs: above the last of a list that is full, by half a step."""
    full = np.flatnonzero(ranks(hits.query) == k_B[hits.query])
    raised_B = needed_B.copy()
    raised_B[hits.query[full]] = np.maximum(needed_B[hits.query[full]], hits.score[full] + HALF_STEP)
    return raised_B


def _rounding(dimensions: int) -> float:
    """Bound the error of a float32 inner product, per unit of the sum of the absolute products.

    Each product and each sum is off by one part in 2**24 at most (Higham 2002, section 3.1); the rest is for the
    second order and for the sums that the bound itself takes part in.
    """
    return (1.01 * dimensions + 4) * 2.0**-24


def _contiguous(vectors_ND: Matrix) -> Matrix:
    """Give `vectors_ND` as C-ordered float32, itself where it is that already (a memory map stays one)."""
    return np.ascontiguousarray(vectors_ND, dtype=np.float32)
