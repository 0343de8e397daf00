"""The sieve of `negset.sieve` on a GPU: the same proof, with tensors that stay on the device.

Documents stream from pinned memory, a chunk at a time; the next is read and copied while the last is multiplied. A
pool holds what each score can be at least, so that every chunk may have an error bound of its own. Several devices
share the queries. Without a GPU the same code runs on the processor, where it serves tests.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from negset.arrays import Matrix, Rows
from negset.products import rounding
from negset.sieve import STEP, Found, VectorRows

_QUERIES: Final = 8192  # queries of a tile
_TILE: Final = 1 << 14  # documents of a tile: 256 MB of scores
_FIRST: Final = 256  # documents of the first tile at least; all of them pass
_GROWTH: Final = 2  # bars are raised when this many times the documents were seen
_CHUNK: Final = 1 << 16  # documents that are copied at once
_ROOM: Final = 8  # a pool may hold this many times k documents
_SPARE: Final = 1024  # and so many more, beside one tile
_HALF_LIMIT: Final = 3e4  # scores that could be greater do not fit into float16
_UNITS: Final = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}  # relative error of rounding to each
_SMALLEST: Final = 2.0**-24  # float16 rounds to multiples of this near zero


@dataclass(frozen=True)
class Narrow:
    """Vectors rounded to 16 bits on a device, with the greatest length and change; by query where they are queries."""

    vectors: torch.Tensor
    lengths: torch.Tensor
    changes: torch.Tensor

    @property
    def unit(self) -> float:
        """Give the relative error of one rounding."""
        return _UNITS[self.vectors.dtype]


def sieve(queries_QD: Matrix, rows: VectorRows, k: int, limit_Q: Rows | None = None) -> Found:
    """Give every document that can be among the `k` best of each query, as `negset.sieve.sieve` does."""
    devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())] or [torch.device("cpu")]
    size = -(-len(queries_QD) // len(devices))
    limit_Q = np.full(len(queries_QD), len(rows)) if limit_Q is None else limit_Q
    parts = [slice(at * size, (at + 1) * size) for at in range(len(devices))]
    with _full_sums(), ThreadPoolExecutor(len(devices)) as pool:
        found = list(
            pool.map(
                lambda device, part: _on_device(queries_QD[part], rows, k, limit_Q[part], part.start, device),
                devices,
                parts,
            )
        )
    return Found(*(np.concatenate([getattr(part, name) for part in found]) for name in ("query", "doc", "given_up")))


@torch.inference_mode()
def _on_device(queries_QD: Matrix, rows: VectorRows, k: int, limit_Q: Rows, offset: int, device: torch.device) -> Found:
    blocks = [
        _Block(queries_QD[start : start + _QUERIES], k, limit_Q[start : start + _QUERIES], start + offset, device)
        for start in range(0, len(queries_QD), _QUERIES)
    ]
    longest = float(np.sqrt(np.einsum("ij,ij->i", queries_QD, queries_QD, dtype=np.float64)).max(initial=0.0))
    for first, chunk_ND in _chunks(rows, device):
        fits = longest * float(chunk_ND.norm(dim=1).max()) < _HALF_LIMIT
        chunk = _narrow(chunk_ND, torch.float16 if fits else torch.bfloat16)
        for block in blocks:
            block.scan(first, chunk)
    found = [block.found() for block in blocks]
    empty = np.empty(0, dtype=np.int64)
    return Found(
        *(np.concatenate([empty, *(getattr(part, name) for part in found)]) for name in ("query", "doc", "given_up"))
    )


def _chunks(rows: VectorRows, device: torch.device) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield the first row of each chunk and its vectors on `device`, reading one chunk ahead."""
    starts = range(0, len(rows), _CHUNK)
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(_copied, rows, 0, device)
        for start in starts:
            chunk_ND = ahead.result()
            if start + _CHUNK < len(rows):
                ahead = pool.submit(_copied, rows, start + _CHUNK, device)
            yield start, chunk_ND


def _copied(rows: VectorRows, start: int, device: torch.device) -> torch.Tensor:
    host = torch.from_numpy(np.require(rows[start : start + _CHUNK], np.float32, ["C", "W"]))
    if device.type != "cuda":
        return host
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        copied = host.pin_memory().to(device, non_blocking=True)
    stream.synchronize()
    return copied


def _narrow(exact_ND: torch.Tensor, kind: torch.dtype) -> Narrow:
    rounded = exact_ND.to(kind)
    lengths = torch.linalg.vector_norm(exact_ND, dim=1, dtype=torch.float64)
    changes = torch.linalg.vector_norm(exact_ND - rounded.float(), dim=1, dtype=torch.float64)
    return Narrow(rounded, lengths, changes)


class _Block:
    """Some queries, their bars (in true scores) and their pools, while the documents pass by."""

    def __init__(self, queries_QD: Matrix, k: int, limit_Q: Rows, offset: int, device: torch.device) -> None:
        self.k, self.offset, self.dimensions = k, offset, queries_QD.shape[1]
        self.exact_QD = torch.from_numpy(np.require(queries_QD, np.float32, ["C", "W"])).to(device)
        self.queries = _narrow(self.exact_QD, torch.float16)
        self.limit_Q = torch.from_numpy(limit_Q.astype(np.int64)).to(device)
        self.first_limit, self.last_limit = int(limit_Q.min(initial=0)), int(limit_Q.max(initial=0))
        many = len(queries_QD)
        self.bar_Q = torch.full((many,), -torch.inf, dtype=torch.float64, device=device)
        self.slack_Q = torch.zeros(many, dtype=torch.float64, device=device)
        self.count_Q = torch.zeros(many, dtype=torch.int64, device=device)
        self.unit = 0.0  # of the coarsest rounding of any chunk
        self.room = _ROOM * k + _SPARE + _TILE
        self.doc_QW = torch.zeros((many, 0), dtype=torch.int64, device=device)
        self.low_QW = torch.zeros((many, 0), dtype=torch.float32, device=device)
        self.raise_at = self.first_tile = max(_FIRST, 2 * k)

    def scan(self, first: int, chunk: Narrow) -> None:
        """Compare the documents of `chunk`, which begin at row `first`, with the bars."""
        if self.queries.vectors.dtype != chunk.vectors.dtype:
            self.queries = _narrow(self.exact_QD, chunk.vectors.dtype)
        queries, error_Q = self.queries, self._error(self.queries, chunk)
        self.unit = max(self.unit, queries.unit)
        start, size = 0, len(chunk.vectors)
        while start < size:
            stop = min(start + _TILE, size, max(self.raise_at - first, start + 1))
            if first + start < self.last_limit:
                self._scan_tile(first + start, queries, chunk.vectors[start:stop], error_Q)
            if first + stop >= self.raise_at:
                self._raise_bars()
                self.raise_at = max(_GROWTH * (first + stop), first + stop + self.first_tile)
            start = stop

    def found(self) -> Found:
        """Give what is left in the pools at the end."""
        self._raise_bars()
        given_up = torch.nonzero(self.bar_Q == torch.inf)[:, 0]
        inside = torch.arange(self.doc_QW.shape[1], device=self.doc_QW.device) < self.count_Q[:, None]
        query, place = torch.nonzero(inside, as_tuple=True)
        doc = self.doc_QW[query, place]
        return Found(query.cpu().numpy() + self.offset, doc.cpu().numpy(), given_up.cpu().numpy() + self.offset)

    def _error(self, queries: Narrow, chunk: Narrow) -> torch.Tensor:
        """Bound the error of each query's scores before they are stored: see `negset.products.error_bound`."""
        length, change = chunk.lengths.max(), chunk.changes.max()
        rounded_Q = queries.lengths + queries.changes
        inputs_Q = queries.changes * length + rounded_Q * change
        return inputs_Q * (1 + 1e-6) + rounding(self.dimensions) * rounded_Q * (length + change) + 1e-30

    def _scan_tile(self, first: int, queries: Narrow, tile_TD: torch.Tensor, error_Q: torch.Tensor) -> None:
        scores_QT = queries.vectors @ tile_TD.T
        needed_Q = self.bar_Q - error_Q
        # Two roundings lower: a score's own when it was stored, and that of the needed score itself.
        needed_Q = needed_Q - 2 * queries.unit * needed_Q.abs() - 2 * _SMALLEST
        passed_QT = scores_QT >= needed_Q.to(scores_QT.dtype)[:, None]
        if self.first_limit < first + len(tile_TD):
            docs_T = torch.arange(first, first + len(tile_TD), device=tile_TD.device)
            passed_QT &= docs_T < self.limit_Q[:, None]
        query_P, column_P = torch.nonzero(passed_QT, as_tuple=True)
        score_P = scores_QT[query_P, column_P].double()
        stored_P = score_P.abs() * queries.unit + _SMALLEST
        self.slack_Q = torch.maximum(self.slack_Q, error_Q)
        low_P = (score_P - stored_P - error_Q[query_P]).float()
        self._add(query_P, column_P + first, torch.nextafter(low_P, torch.full_like(low_P, -torch.inf)))

    def _add(self, query_P: torch.Tensor, doc_P: torch.Tensor, low_P: torch.Tensor) -> None:
        """Append the pairs, which are sorted by query, to the pools; give up those that outgrow their room."""
        added_Q = torch.bincount(query_P, minlength=len(self.bar_Q))
        full_Q = self.count_Q + added_Q > self.room
        if bool(full_Q.any()):
            self.bar_Q[full_Q], self.count_Q[full_Q], added_Q[full_Q] = torch.inf, 0, 0
            self.low_QW[full_Q] = -torch.inf
            kept_P = ~full_Q[query_P]
            query_P, doc_P, low_P = query_P[kept_P], doc_P[kept_P], low_P[kept_P]
        width = int((self.count_Q + added_Q).max())
        if width > self.doc_QW.shape[1]:
            missing = width - self.doc_QW.shape[1]
            self.doc_QW = torch.nn.functional.pad(self.doc_QW, (0, missing))
            self.low_QW = torch.nn.functional.pad(self.low_QW, (0, missing), value=-torch.inf)
        before_Q = torch.cumsum(added_Q, 0) - added_Q
        place_P = torch.arange(len(query_P), device=query_P.device) - before_Q[query_P] + self.count_Q[query_P]
        self.doc_QW[query_P, place_P] = doc_P
        self.low_QW[query_P, place_P] = low_P
        self.count_Q += added_Q

    def _raise_bars(self) -> None:
        """Set each bar to what the k-th best of its pool is at least, and drop what cannot reach it."""
        if self.low_QW.shape[1] < self.k:
            return
        kth_Q = self.low_QW.topk(self.k, dim=1, sorted=True).values[:, -1].double()
        self.bar_Q = torch.maximum(self.bar_Q, kth_Q - STEP)
        # A score is off by the error and by storing it, both ways: the sum of these, rounded up.
        reach_QW = self.low_QW.double()
        reach_QW += 2.02 * self.slack_Q[:, None] + 4 * self.unit * reach_QW.abs().clamp(max=1e30) + 4 * _SMALLEST
        query_P, place_P = torch.nonzero((reach_QW >= self.bar_Q[:, None]) & (self.low_QW > -torch.inf), as_tuple=True)
        doc_P, low_P = self.doc_QW[query_P, place_P], self.low_QW[query_P, place_P]
        self.count_Q = torch.zeros_like(self.count_Q)
        self.low_QW.fill_(-torch.inf)
        self._add(query_P, doc_P, low_P)


@contextmanager
def _full_sums() -> Iterator[None]:
    """Sum products of 16 bits in float32 throughout, which the error bound counts on."""
    settings = torch.backends.cuda.matmul
    before = settings.allow_fp16_reduced_precision_reduction, settings.allow_bf16_reduced_precision_reduction
    settings.allow_fp16_reduced_precision_reduction = settings.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        settings.allow_fp16_reduced_precision_reduction, settings.allow_bf16_reduced_precision_reduction = before
