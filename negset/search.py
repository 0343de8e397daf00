"""Exact top-k by inner product, with one answer on every backend, tiling, thread count and device.

A matrix product differs in its last bits with its shape, its threads and the device, and a cheap one in more than
these. So a first pass only proposes: every document that its error bound cannot exclude is scored again in float64
in a fixed order and rounded to 6 digits, ties go to the smaller document row, and the list is cut to k.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from negset.arrays import Floats, Matrix, Rows
from negset.errors import ContractError, listed
from negset.products import NUMPY, Precision, error_bound, find_product, rounding, row_lengths
from negset.sieve import STEP, Documents, Found, VectorRows, load_documents, sieve

Backend = Literal["auto", "cpu", "faiss", "torch"]

DIGITS: Final = 6
"""Digits of a canonical score: the jitter of a float32 product is below half a unit of the sixth."""
HALF_STEP: Final = 0.5 * 10.0**-DIGITS

_CLASS: Final = 32  # queries whose depths differ by less than this are searched together
_SLACK: Final = 16  # fetched beyond k by faiss; measured: 12 settle all but a few queries of real collections
_PROPOSED: Final = 1 << 22  # about as many pairs are proposed at once: 130 MB with rows, scores and their order
_PAIRS: Final = 128  # pairs rescored at once: their float64 rows stay in the cache
_SHARE: Final = 1 << 11  # pairs whose documents a thread reads at once
_TILE: Final = 4096  # documents of one tile of the scan
_SCANNED: Final = 256  # queries of one tile of the scan
_FAISS_QUERIES: Final = 1024  # below that many queries faiss takes a path seven times slower than a matrix product
_KEPT: Final = 1 << 30  # bytes of documents that stay loaded for the next queries, unless told otherwise
_NVIDIA: Final = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))


class Sieve(Protocol):
    """Give every document that can be among the `k` best of each query, as `negset.sieve.sieve` does."""

    def __call__(self, queries_QD: Matrix, rows: VectorRows, k: int, limit_Q: Rows | None) -> Found:
        """Search on a device."""


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


@dataclass(frozen=True)
class Corpus:
    """Documents that are ready to be searched any number of times."""

    rows: VectorRows
    backend: Literal["cpu", "faiss", "torch"]
    loaded: Documents
    order_N: Rows


def search_exact(
    queries_QD: Matrix,
    documents_ND: VectorRows,
    k_Q: NDArray[np.integer],
    backend: Backend = "auto",
    names: tuple[pl.Series, pl.Series] | None = None,
    *,
    limit_Q: Rows | None = None,
    precision: Precision = "auto",
) -> Hits:
    """Give the `k_Q` best documents of each query by canonical inner product, ties to the smaller row.

    With `limit_Q` a query sees only so many of the first documents. `names` are the ids of queries and documents,
    for messages. Fewer than k documents give all of them. Raises ContractError for vectors that are not finite, and
    for two widths.
    """
    query_names, doc_names = names or (None, None)
    operations = 2.0 * len(queries_QD) * len(documents_ND) * queries_QD.shape[1]
    corpus = open_corpus(documents_ND, operations, backend, doc_names, precision=precision)
    return search_corpus(queries_QD, corpus, k_Q, query_names, limit_Q=limit_Q)


def open_corpus(
    documents_ND: VectorRows,
    operations: float,
    backend: Backend = "auto",
    names: pl.Series | None = None,
    *,
    precision: Precision = "auto",
    memory: int = _KEPT,
    order_N: Rows | None = None,
) -> Corpus:
    """Load `documents_ND` for searches of `operations` in all; they stay loaded where they fit into `memory` bytes.

    Hits name the documents by `order_N` (their row numbers, if not given), and ties go to the smaller of these.
    Raises ContractError naming the documents whose vectors are not finite.
    """
    product = find_product(precision, operations)
    keep = len(documents_ND) * documents_ND.shape[1] * product.item_bytes <= memory
    loaded = load_documents(documents_ND, product, keep=keep)
    _refuse_not_finite(loaded.length_N, "document", names)
    order_N = np.arange(len(documents_ND)) if order_N is None else order_N
    return Corpus(documents_ND, chosen_backend(backend), loaded, order_N)


def search_corpus(
    queries_QD: Matrix,
    corpus: Corpus,
    k_Q: NDArray[np.integer],
    names: pl.Series | None = None,
    *,
    limit_Q: Rows | None = None,
    least_Q: Floats | None = None,
) -> Hits:
    """Search an opened `corpus` as `search_exact` does; hits with a score below `least_Q` may be left out."""
    documents = len(corpus.rows)
    if queries_QD.shape[1] != corpus.rows.shape[1]:
        message = (
            f"query vectors have {queries_QD.shape[1]} dimensions, document vectors {corpus.rows.shape[1]}: "
            "both must come from one encoder; embed them again"
        )
        raise ContractError(message)
    checked_norms(queries_QD, "query", names)
    if not len(queries_QD) or not documents:
        return no_hits()
    limit_Q = np.full(len(queries_QD), documents) if limit_Q is None else np.minimum(limit_Q, documents)
    wanted_Q: Rows = np.minimum(np.asarray(k_Q, dtype=np.int64), limit_Q)
    parts = [
        _search_group(queries_QD, corpus, rows, wanted_Q, limit_Q, least_Q, count) for rows, count in _groups(wanted_Q)
    ]
    if len(parts) == 1:
        return parts[0]
    return _by_query(join_hits(parts))


def pair_scores(queries_QD: Matrix, documents_ND: VectorRows, query_P: Rows, doc_P: Rows) -> Floats:
    """Score each pair of rows: the inner product in float64, rounded to 6 digits.

    Bit for bit the same whatever pairs stand beside it: the sum runs along one contiguous row at a time.
    """
    scores_P = np.empty(len(query_P), dtype=np.float64)

    def score(start: int) -> None:
        right_SD = documents_ND[doc_P[start : start + _SHARE]]
        for first in range(0, len(right_SD), _PAIRS):
            right = right_SD[first : first + _PAIRS].astype(np.float64)
            part = slice(start + first, start + first + len(right))
            scores_P[part] = np.einsum("ij,ij->i", queries_QD[query_P[part]].astype(np.float64), right)

    with ThreadPoolExecutor(usable_threads()) as pool:
        list(pool.map(score, range(0, len(query_P), _SHARE)))
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


def usable_threads() -> int:
    """Count the threads that numpy's own library may use, which is what a user sets for all of them."""
    return max((int(pool["num_threads"]) for pool in threadpool_info()), default=1)


def chosen_backend(backend: Backend) -> Literal["cpu", "faiss", "torch"]:
    """Resolve `auto`: torch where it is installed and the machine has an NVIDIA driver, else the processor.

    Looks for the driver's files only, since importing torch to ask it takes seconds.
    """
    if backend != "auto":
        return backend
    driver = any(path.exists() for path in _NVIDIA)
    return "torch" if driver and importlib.util.find_spec("torch") is not None else "cpu"


def checked_norms(vectors_ND: Matrix, role: str, names: pl.Series | None = None) -> Floats:
    """Give the length of each vector; raise ContractError naming the `role` and ids of those not finite."""
    length_N = row_lengths(vectors_ND)
    _refuse_not_finite(length_N, role, names)
    return length_N


def _refuse_not_finite(length_N: Floats, role: str, names: pl.Series | None) -> None:
    bad = np.flatnonzero(~np.isfinite(length_N))
    if len(bad):
        ids = [f"row {row}" for row in bad.tolist()] if names is None else names.gather(bad).to_list()
        message = f"{len(bad)} {role} vectors are not finite: {listed(ids)}. Check these texts and the encoder"
        raise ContractError(message)


def _groups(k_Q: Rows) -> Iterator[tuple[Rows, int]]:
    """Yield rows of queries with about the same depth, and the greatest depth among them.

    One query with 2,000 positives is a group of its own and makes no other list longer.
    """
    class_Q = -(-k_Q // _CLASS)
    for depth in np.unique(class_Q[k_Q > 0]).tolist():
        rows = np.flatnonzero(class_Q == depth)
        size = max(_PROPOSED // (depth * _CLASS), 1)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, int(k_Q[part].max())


def _search_group(
    queries_QD: Matrix, corpus: Corpus, rows: Rows, k_Q: Rows, limit_Q: Rows, least_Q: Floats | None, count: int
) -> Hits:
    """Search the queries in `rows`, whose depths are `count` at most."""
    rows = rows[np.argsort(limit_Q[rows], kind="stable")]
    least_R = None if least_Q is None else least_Q[rows]
    found = _propose(queries_QD[rows], corpus, count, limit_Q[rows], least_R)
    query_P = rows[found.query]
    score_P = pair_scores(queries_QD, corpus.rows, query_P, found.doc)
    hits = _best_hits(Hits(query_P, corpus.order_N[found.doc], score_P), k_Q)
    given_up = rows[found.given_up]
    if not len(given_up):
        return hits
    return top_hits(join_hits([hits, *_scan(queries_QD, corpus, given_up, k_Q, limit_Q)]), k_Q)


def _best_hits(hits: Hits, k_Q: Rows) -> Hits:
    """Do what `top_hits` does, several times faster, for distinct hits of which each query's stand together.

    Score and document are packed into one number, which is sorted query by query; scores are whole numbers of steps.
    """
    steps_P = np.rint(-hits.score * 10**DIGITS).astype(np.int64)
    if not len(hits) or np.abs(steps_P).max() >= 1 << 30 or hits.doc.max() >= 1 << 32:
        return top_hits(hits, k_Q)
    starts = np.flatnonzero(np.r_[True, hits.query[1:] != hits.query[:-1]])
    count_R = np.diff(np.r_[starts, len(hits)])
    if len(starts) * count_R.max() > 4 * len(hits) + _PROPOSED:
        return top_hits(hits, k_Q)  # a few long lists would make a wide matrix
    asked_R = hits.query[starts]
    packed_RW = np.full((len(starts), count_R.max()), np.iinfo(np.int64).max)
    packed_RW[np.arange(packed_RW.shape[1]) < count_R[:, None]] = (steps_P << 32) | hits.doc
    packed_RW.sort(axis=1)
    kept_RW = np.arange(packed_RW.shape[1]) < np.minimum(count_R, k_Q[asked_R])[:, None]
    packed_P = packed_RW[kept_RW]
    score_P = canonical(-(packed_P >> 32) / 10**DIGITS)
    found = Hits(np.repeat(asked_R, kept_RW.sum(axis=1)), packed_P & 0xFFFFFFFF, score_P)
    return found if (np.diff(asked_R) > 0).all() else _by_query(found)


def _by_query(hits: Hits) -> Hits:
    order = np.argsort(hits.query, kind="stable")
    return Hits(hits.query[order], hits.doc[order], hits.score[order])


def _propose(queries_QD: Matrix, corpus: Corpus, count: int, limit_Q: Rows, least_Q: Floats | None) -> Found:
    documents = len(corpus.rows)
    limited = bool((limit_Q < documents).any())
    if corpus.backend == "torch":
        device = cast("Sieve", importlib.import_module("negset.sieve_torch").sieve)
        return device(queries_QD, corpus.rows, count, limit_Q if limited else None)
    if corpus.backend == "faiss" and len(queries_QD) >= _FAISS_QUERIES and not limited:
        return _fetched(queries_QD, corpus, count)
    return sieve(queries_QD, corpus.loaded, count, limit_Q if limited else None, usable_threads(), least_Q)


def _fetched(queries_QD: Matrix, corpus: Corpus, count: int) -> Found:
    """Fetch by faiss a little more than `count`; queries for which that leaves something open are given up."""
    documents_ND = np.ascontiguousarray(corpus.rows[:], dtype=np.float32)
    fetch = cast("Fetch", importlib.import_module("negset.search_faiss").fetch)
    raw_QK, doc_QK = fetch(queries_QD, documents_ND, min(count + _SLACK, len(documents_ND)))
    if doc_QK.min(initial=0) < 0:
        message = f"faiss gave no document for a query, though it has {len(documents_ND)} to choose from"
        raise ContractError(message)
    by_doc_QK = np.argsort(doc_QK, axis=1)
    doc_QK, raw_QK = np.take_along_axis(doc_QK, by_doc_QK, axis=1), np.take_along_axis(raw_QK, by_doc_QK, axis=1)
    kth_Q = np.partition(raw_QK, raw_QK.shape[1] - count, axis=1)[:, raw_QK.shape[1] - count]
    error_Q = error_bound(NUMPY.load(queries_QD), corpus.loaded.length, 0.0, queries_QD.shape[1])
    needed_Q = kth_Q - 2 * error_Q - STEP
    settled_Q = (raw_QK.min(axis=1) < needed_Q) | (raw_QK.shape[1] == len(documents_ND))
    query, place = np.nonzero(settled_Q[:, None] & (raw_QK >= needed_Q[:, None]))
    return Found(query, doc_QK[query, place], np.flatnonzero(~settled_Q))


def _scan(queries_QD: Matrix, corpus: Corpus, rows: Rows, k_Q: Rows, limit_Q: Rows) -> Iterator[Hits]:
    """Search the queries in `rows` tile by tile in the order of the documents, and miss nothing.

    A pair is rescored unless its float32 score, plus the bound of its own rounding error, is too low for the
    list as it stands. Once a list is full, a later document that ties with its end loses to the earlier ones, which
    is what makes thousands of ties cheap; not so where documents are searched in another order than ties go by.
    """
    step = HALF_STEP if (np.diff(corpus.order_N) > 0).all() else -HALF_STEP
    gamma = rounding(queries_QD.shape[1])
    for start in range(0, len(rows), _SCANNED):
        block = rows[start : start + _SCANNED]
        left, k_B = queries_QD[block], k_Q[block]
        hits, needed_B = no_hits(), np.full(len(block), -np.inf)
        for first in range(0, int(limit_Q[block].max()), _TILE):
            tile = corpus.rows[first : first + _TILE]
            reach = left @ tile.T + gamma * (np.abs(left) @ np.abs(tile).T)
            seen = np.arange(first, first + len(tile)) < limit_Q[block, None]
            query_P, doc_P = np.nonzero((reach >= needed_B[:, None] - HALF_STEP / 4) & seen)
            fresh = Hits(query_P, corpus.order_N[doc_P + first], pair_scores(left, tile, query_P, doc_P))
            hits = top_hits(join_hits([hits, fresh]), k_B)
            needed_B = _raise_needed(needed_B, hits, k_B, step)
        yield Hits(block[hits.query], hits.doc, hits.score)


def _raise_needed(needed_B: Floats, hits: Hits, k_B: Rows, step: float) -> Floats:
    """Give the score a later document needs: that of the last of a list that is full, and a `step`."""
    full = np.flatnonzero(ranks(hits.query) == k_B[hits.query])
    raised_B = needed_B.copy()
    raised_B[hits.query[full]] = np.maximum(needed_B[hits.query[full]], hits.score[full] + step)
    return raised_B
