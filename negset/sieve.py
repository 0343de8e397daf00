"""Collect, for each query, every document that can be among its k best, in one pass over the documents.

Each query has a bar. A tile of first-pass scores is compared with the bars of its queries, and what passes is put
into the query's pool. From time to time the k-th best score of a pool raises the bar: to that score, less twice
the error bound of the product and what storing it changed. A document below the bar is below k others whatever the
errors were, so nothing that matters is ever left out: the proof is in the bar, not in a margin that is hoped to do.
A pool that outgrows its room (thousands of documents that tie) is given up and its query is searched another way.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from negset.products import Floats, Loaded, Matrix, Product, Rows, error_bound

_TILE: Final = 2048  # documents of a tile: with 1,024 queries its scores stay in the second-level cache
_QUERIES: Final = 1024  # queries of a tile; measured: the product is slower below about 512
_FIRST: Final = 256  # documents of the first tile at least; all of them pass
_GROWTH: Final = 2  # bars are raised when this many times the documents were seen
_CROWDED: Final = 3  # and when pools hold this many times k documents on average
_CHUNK: Final = 1 << 14  # documents that are loaded at once
_ROOM: Final = 8  # a pool may hold this many times k documents
_SPARE: Final = 1024  # and so many more
STEP: Final = 2e-6
"""Scores are rounded to 6 digits: two that tie when rounded are less than this apart, rounded down generously."""


class VectorRows(Protocol):
    """Vectors that are read by slice or by row numbers, (N, D) float32: a matrix, a memory map, or shards."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (N, D)."""

    def __len__(self) -> int:
        """Count the vectors."""

    def __getitem__(self, rows: slice | Rows) -> Matrix:
        """Read the vectors of `rows`."""


@dataclass(frozen=True)
class Documents:
    """Documents that are ready to be searched: by chunk, loaded for `product` and kept, or loaded again each time."""

    rows: VectorRows
    product: Product
    length_N: Floats
    length: float
    change: float
    kept: tuple[Loaded, ...]

    def chunks(self) -> Iterator[tuple[int, Loaded]]:
        """Yield the first row of each chunk and the chunk, from all over the corpus in turn.

        Corpora are often sorted by kind; bars that were raised among one kind let too much of the next pass.
        """
        starts = range(0, len(self.rows), _CHUNK)
        for number in _spread_out(len(starts)):
            start = starts[number]
            yield start, self.kept[number] if self.kept else self.product.load(self.rows[start : start + _CHUNK])


@dataclass(frozen=True)
class Found:
    """Documents that could be among the best: `doc` of `query`, sorted by query; those of `given_up` are unknown."""

    query: Rows
    doc: Rows
    given_up: Rows


def load_documents(rows: VectorRows, product: Product, *, keep: bool) -> Documents:
    """Read all documents once, to know the longest and the largest change; `keep` what was loaded, if there is room."""
    kept, lengths, change = [], [np.zeros(0)], 0.0
    for start in range(0, len(rows), _CHUNK):
        loaded = product.load(rows[start : start + _CHUNK])
        lengths.append(loaded.length_N)
        change = max(change, float(loaded.change_N.max()))
        if keep:
            kept.append(loaded)
    length_N = np.concatenate(lengths)
    return Documents(rows, product, length_N, float(length_N.max(initial=0.0)), change, tuple(kept))


def sieve(queries_QD: Matrix, documents: Documents, k: int, limit_Q: Rows | None = None, threads: int = 1) -> Found:
    """Give every document that can be among the `k` best of each query by inner product rounded to 6 digits.

    `limit_Q`, which must ascend, lets a query see only so many of the first documents. `threads` share the queries;
    each multiplies on its own, so what is found does not depend on them.
    """
    size = min(_QUERIES, -(-len(queries_QD) // threads))
    parts = [slice(start, start + size) for start in range(0, len(queries_QD), max(size, 1))]
    blocks = [
        _Block(documents, queries_QD[part], part.start, k, None if limit_Q is None else limit_Q[part]) for part in parts
    ]
    with threadpool_limits(1), ThreadPoolExecutor(threads, initializer=documents.product.keep_to_one_thread) as pool:
        for start, chunk in documents.chunks():
            list(pool.map(lambda block, first=start, loaded=chunk: block.scan(first, loaded), blocks))
        found = list(pool.map(_Block.found, blocks))
    return Found(*(np.concatenate([getattr(part, name) for part in found]) for name in ("query", "doc", "given_up")))


class _Block:
    """Some queries, their bars and their pools, while the documents pass by."""

    def __init__(self, documents: Documents, queries_QD: Matrix, offset: int, k: int, limit_Q: Rows | None) -> None:
        self.product, self.offset, self.k, self.limit_Q = documents.product, offset, k, limit_Q
        self.queries = self.product.load(queries_QD)
        self.error_Q = error_bound(self.queries, documents.length, documents.change, queries_QD.shape[1])
        self.bar_Q = np.full(len(queries_QD), -np.inf, dtype=np.float32)
        self.room = _ROOM * k + _SPARE + _TILE
        self.count_Q = np.zeros(len(queries_QD), dtype=np.int64)
        self.doc_QW = np.empty((len(queries_QD), 0), dtype=np.int32)
        self.score_QW = np.empty((len(queries_QD), 0), dtype=np.float32)
        self.out = self.product.scratch(len(queries_QD), _TILE)
        self.mask = np.empty(len(queries_QD) * _TILE, dtype=np.bool_)
        self.seen = 0
        self.raise_at = self.first_tile = max(_FIRST, 2 * k)

    def scan(self, first: int, chunk: Loaded) -> None:
        """Compare the documents of `chunk`, which begin at row `first`, with the bars."""
        start, size = 0, len(chunk.length_N)
        while start < size:
            stop = min(start + _TILE, size, start + max(self.raise_at - self.seen, 1))
            self._scan_tile(first, chunk, slice(start, stop))
            self.seen += stop - start
            if self.seen >= self.raise_at or self.count_Q.mean() > _CROWDED * self.k + _FIRST:
                self._raise_bars()
                self.raise_at = max(_GROWTH * self.seen, self.seen + self.first_tile)
            start = stop

    def found(self) -> Found:
        """Give what is left in the pools at the end."""
        self._raise_bars()
        given_up = np.flatnonzero(self.bar_Q == np.inf)
        query, place = np.nonzero(np.arange(self.doc_QW.shape[1]) < self.count_Q[:, None])
        return Found(query + self.offset, self.doc_QW[query, place].astype(np.int64), given_up + self.offset)

    def _scan_tile(self, first: int, chunk: Loaded, part: slice) -> None:
        rows = slice(0, len(self.bar_Q))
        if self.limit_Q is not None:
            # Limits ascend: the queries that may see any of these documents are the last ones.
            rows = slice(int(np.searchsorted(self.limit_Q, first + part.start, side="right")), len(self.bar_Q))
        if rows.start == rows.stop:
            return
        scores_QT = self.product.multiply(self.queries, chunk, rows, part, self.out)
        place_P = self.product.passing(scores_QT, self.bar_Q[rows], self.mask)
        query_P, column_P = np.divmod(place_P, scores_QT.shape[1])
        query_P, doc_P = query_P + rows.start, column_P + first + part.start
        score_P = self.product.read(scores_QT, place_P)
        if self.limit_Q is not None:
            seen_P = doc_P < self.limit_Q[query_P]
            query_P, doc_P, score_P = query_P[seen_P], doc_P[seen_P], score_P[seen_P]
        self._add(query_P, doc_P, score_P)

    def _add(self, query_P: Rows, doc_P: Rows, score_P: Matrix) -> None:
        """Append the pairs, which are sorted by query, to the pools; give up those that outgrow their room."""
        added_Q = np.bincount(query_P, minlength=len(self.bar_Q))
        full_Q = self.count_Q + added_Q > self.room
        if full_Q.any():
            self.bar_Q[full_Q], self.count_Q[full_Q], added_Q[full_Q] = np.inf, 0, 0
            self.score_QW[full_Q] = -np.inf
            kept_P = ~full_Q[query_P]
            query_P, doc_P, score_P = query_P[kept_P], doc_P[kept_P], score_P[kept_P]
        self._make_room(int((self.count_Q + added_Q).max(initial=0)))
        before_Q = np.cumsum(added_Q) - added_Q
        place_P = np.arange(len(query_P)) - before_Q[query_P] + self.count_Q[query_P]
        self.doc_QW[query_P, place_P] = doc_P
        self.score_QW[query_P, place_P] = score_P
        self.count_Q += added_Q

    def _make_room(self, width: int) -> None:
        have = self.doc_QW.shape[1]
        if width > have:
            grown = max(width, min(have * 3 // 2, self.room))
            self.doc_QW = _widened(self.doc_QW, grown, 0)
            self.score_QW = _widened(self.score_QW, grown, -np.inf)

    def _raise_bars(self) -> None:
        """Set each bar by the k-th best score of its pool, and drop what is below it."""
        # A few crowded pools must not make the rest of them costly.
        crowded_Q = self.count_Q > 2 * max(int(self.count_Q.mean()), self.k)
        for rows in (np.flatnonzero(~crowded_Q), np.flatnonzero(crowded_Q)):
            width = int(self.count_Q[rows].max(initial=0))
            if width >= self.k:
                self._raise_some(rows, width)

    def _raise_some(self, rows: Rows, width: int) -> None:
        score_RW, doc_RW = self.score_QW[rows, :width], self.doc_QW[rows, :width]
        kth_R = np.partition(score_RW, width - self.k, axis=1)[:, width - self.k]
        stored_R = self.product.stored_error(kth_R)
        lower_R = kth_R.astype(np.float64) - stored_R - 2 * self.error_Q[rows] - STEP
        # What a score just below was before it was stored: one more rounding of its own.
        lower_R -= self.product.stored_error(lower_R.astype(np.float32))
        bar_R = np.nextafter(lower_R.astype(np.float32), np.float32(-np.inf))
        bar_R = np.maximum(self.bar_Q[rows], np.where(np.isfinite(kth_R), bar_R, np.float32(-np.inf)))
        self.bar_Q[rows] = bar_R
        place_P = np.flatnonzero(score_RW >= np.maximum(bar_R, np.finfo(np.float32).min)[:, None])
        row_P = place_P // width
        count_R = np.bincount(row_P, minlength=len(rows))
        column_P = np.arange(len(row_P)) - np.repeat(np.cumsum(count_R) - count_R, count_R)
        self.count_Q[rows] = count_R
        self.score_QW[rows, :width] = -np.inf
        self.doc_QW[rows[row_P], column_P] = doc_RW.reshape(-1)[place_P]
        self.score_QW[rows[row_P], column_P] = score_RW.reshape(-1)[place_P]


def _spread_out(count: int) -> list[int]:
    """Order `count` numbers so that the first ones lie far apart: by the fractional parts of golden multiples."""
    return sorted(range(count), key=lambda number: (number * 0.6180339887498949) % 1)


def _widened(array_QW: np.ndarray, width: int, value: float) -> np.ndarray:
    wide_QW = np.full((len(array_QW), width), value, dtype=array_QW.dtype)
    wide_QW[:, : array_QW.shape[1]] = array_QW
    return wide_QW
