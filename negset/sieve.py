"""Collect, for each query, every document that can be among its k best, in one pass over the documents.

Each query has a bar. A tile of first-pass scores is compared with the bars of its queries, and what passes is put
into the query's pool. From time to time the k-th best score of a pool raises the bar: to that score, less twice
the error bound of the product and what storing it changed. A document below the bar is below k others whatever the
errors were, so nothing that matters is ever left out: the proof is in the bar, not in a margin that is hoped to do.
A pool that outgrows its room (thousands of documents that tie) is given up and its query is searched another way.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Matrix, Rows
from negset.products import Loaded, Product, error_bound

_TILE: Final = 1024  # documents of a tile; measured: with 2,048 queries the product is fastest
_QUERIES: Final = 2048  # queries of a tile
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

    def batches(self) -> Iterator[list["Tile"]]:
        """Yield tiles, from all over the corpus in turn: all at once where they are kept, else a chunk's at a time.

        Corpora are often sorted by kind; bars that were raised among one kind let too much of the next pass.
        """
        starts = range(0, len(self.rows), _CHUNK)
        if self.kept:
            tiles = [tile for start, loaded in zip(starts, self.kept, strict=True) for tile in _cut(start, loaded)]
            yield [tiles[number] for number in _spread_out(len(tiles))]
            return
        for number in _spread_out(len(starts)):
            start = starts[number]
            yield _cut(start, self.product.load(self.rows[start : start + _CHUNK]))


@dataclass(frozen=True)
class Tile:
    """Some documents of a loaded chunk, which begins at row `first` of all."""

    first: int
    chunk: Loaded
    part: slice


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


def sieve(
    queries_QD: Matrix,
    documents: Documents,
    k: int,
    limit_Q: Rows | None = None,
    threads: int = 1,
    least_Q: Floats | None = None,
) -> Found:
    """Give every document that can be among the `k` best of each query by inner product rounded to 6 digits.

    `limit_Q`, which must ascend, lets a query see only so many of the first documents. Documents with a score below
    `least_Q` are not asked for. `threads` share the queries; each multiplies on its own, so what is found does not
    depend on them.
    """
    size = min(_QUERIES, -(-len(queries_QD) // threads))
    parts = [slice(start, start + size) for start in range(0, len(queries_QD), max(size, 1))]
    blocks = [
        _Block(documents, queries_QD[part], part.start, k, None if limit_Q is None else limit_Q[part]) for part in parts
    ]
    for block, part in zip(blocks, parts, strict=True):
        block.start_at(None if least_Q is None else least_Q[part])
    with threadpool_limits(1), ThreadPoolExecutor(threads, initializer=documents.product.keep_to_one_thread) as pool:
        for batch in documents.batches():
            list(pool.map(lambda block, tiles=batch: block.scan(tiles), blocks))
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

    def start_at(self, least_Q: Floats | None) -> None:
        """Begin with bars that only scores of `least_Q`, rounded to 6 digits, can pass."""
        if least_Q is not None:
            self.bar_Q = self._bar(least_Q - self.error_Q - STEP)

    def scan(self, tiles: Sequence[Tile]) -> None:
        """Compare the documents of `tiles` with the bars."""
        for tile in tiles:
            self._scan_parts(tile)

    def _scan_parts(self, tile: Tile) -> None:
        """Compare a tile as a whole, or up to where bars are due to be raised: often at first."""
        start = tile.part.start
        while start < tile.part.stop:
            stop = min(tile.part.stop, start + max(self.raise_at - self.seen, 1))
            self._scan_tile(tile.first, tile.chunk, slice(start, stop))
            self.seen += stop - start
            if self.seen >= self.raise_at or self.count_Q.mean() > _CROWDED * self.k + _FIRST:
                self._raise_bars()
                self.raise_at = max(int(_GROWTH * self.seen), self.seen + self.first_tile)
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
        width = scores_QT.shape[1]
        # Most tiles are as wide as a power of two; shifting is several times faster than dividing.
        row_P = place_P >> (width.bit_length() - 1) if width & (width - 1) == 0 else place_P // width
        query_P, doc_P = row_P + rows.start, place_P - row_P * width + (first + part.start)
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
        self._put(query_P, added_Q, self.count_Q, doc_P, score_P)
        self.count_Q += added_Q

    def _put(self, query_P: Rows, added_Q: Rows, first_Q: Rows, doc_P: NDArray[np.integer], score_P: Matrix) -> None:
        """Write pairs, sorted by query, into the pools from column `first_Q` on."""
        start_Q = np.arange(len(added_Q)) * self.doc_QW.shape[1] + first_Q - (np.cumsum(added_Q) - added_Q)
        place_P = start_Q[query_P] + np.arange(len(query_P))
        self.doc_QW.reshape(-1)[place_P] = doc_P
        self.score_QW.reshape(-1)[place_P] = score_P

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
        rest = np.flatnonzero(~crowded_Q)
        for rows in (rest, np.flatnonzero(crowded_Q)) if len(rest) < len(crowded_Q) else (slice(None),):
            width = int(self.count_Q[rows].max(initial=0))
            if width >= self.k:
                self._raise_some(rows, width)

    def _raise_some(self, rows: Rows | slice, width: int) -> None:
        score_RW, doc_RW = self.score_QW[rows, :width], self.doc_QW[rows, :width]
        kth_R = np.partition(score_RW, width - self.k, axis=1)[:, width - self.k]
        stored_R = self.product.stored_error(kth_R)
        bar_R = self._bar(kth_R.astype(np.float64) - stored_R - 2 * self.error_Q[rows] - STEP)
        bar_R = np.maximum(self.bar_Q[rows], bar_R)
        self.bar_Q[rows] = bar_R
        place_P = np.flatnonzero(score_RW >= np.maximum(bar_R, np.finfo(np.float32).min)[:, None])
        row_P = place_P // width
        doc_P, score_P = doc_RW.reshape(-1)[place_P], score_RW.reshape(-1)[place_P]
        query_P = np.arange(len(self.bar_Q))[rows][row_P]
        left_Q = np.bincount(query_P, minlength=len(self.bar_Q))
        self.count_Q[rows] = left_Q[rows]
        self.score_QW[rows, :width] = -np.inf
        self._put(query_P, left_Q, np.zeros_like(left_Q), doc_P, score_P)

    def _bar(self, lower_R: Floats) -> Matrix:
        """Give bars that scores of `lower_R` pass when stored: one rounding of their own lower."""
        finite_R = np.where(np.isfinite(lower_R), lower_R, 0)
        stored_R = self.product.stored_error(finite_R.astype(np.float32))
        bar_R = np.nextafter((finite_R - stored_R).astype(np.float32), np.float32(-np.inf))
        return np.where(np.isfinite(lower_R), bar_R, lower_R).astype(np.float32)


def _spread_out(count: int) -> list[int]:
    """Order `count` numbers so that the first ones lie far apart: by the fractional parts of golden multiples."""
    return sorted(range(count), key=lambda number: (number * 0.6180339887498949) % 1)


def _cut(first: int, chunk: Loaded) -> list[Tile]:
    """Cut the chunk that begins at row `first` of all documents into tiles."""
    size = len(chunk.length_N)
    return [Tile(first, chunk, slice(start, min(start + _TILE, size))) for start in range(0, size, _TILE)]


def _widened(array_QW: np.ndarray, width: int, value: float) -> np.ndarray:
    wide_QW = np.full((len(array_QW), width), value, dtype=array_QW.dtype)
    wide_QW[:, : array_QW.shape[1]] = array_QW
    return wide_QW
