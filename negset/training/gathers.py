"""Rows of a table that stays on the host, fetched to a device while other work goes on.

A thread gathers into one of two pinned buffers, from which a copy to the device runs beside computation; a buffer is
filled again only when what was in it has left. The idea is PyTorch-Direct's (Min et al. 2021, arXiv 2101.07956), by
what PyTorch itself has. Without CUDA there is nothing to pin: the thread gathers into memory of its own.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from negset.errors import ContractError
from negset.training.examples import Rows


@dataclass(frozen=True)
class Sent:
    """Rows on their way: `arrive` makes the caller's work wait for them, `freed` waits until their buffer is free."""

    rows_nD: torch.Tensor
    arrive: Callable[[], None]
    freed: Callable[[], None]


Send = Callable[[torch.Tensor], Sent]
"""Begin to move a filled buffer to where it is needed."""


@dataclass
class _Buffer:
    memory_ND: torch.Tensor | None = None
    freed: Callable[[], None] = lambda: None


class HostGather:
    """Fetch rows of `table_ND` (N, D), which lies on the host, to `device`.

    Fetches are done in the order in which they were asked for. With `send`, which CUDA has by itself, they pass through
    two buffers; without it each has memory of its own.
    """

    def __init__(self, table_ND: torch.Tensor, device: torch.device, send: Send | None = None) -> None:
        self.table_ND = table_ND
        self.device = device
        self._send = send if send is not None or device.type != "cuda" else _cuda_sender(device)
        self._buffers = (_Buffer(), _Buffer())
        self._asked = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gather")

    def fetch(self, ids: Rows) -> Callable[[], torch.Tensor]:
        """Begin to fetch the rows `ids`, in any order and with repeats; give what waits for them, (n, D).

        Raises ContractError for an id that is no row of the table.
        """
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < len(self.table_ND):
            wrong = ids[(ids < 0) | (ids >= len(self.table_ND))][0]
            message = f"row {wrong} was asked of a table of {len(self.table_ND)} rows: ids and vectors do not belong"
            raise ContractError(message)
        order = None if bool((ids[1:] >= ids[:-1]).all()) else np.argsort(ids, kind="stable")
        # Sorted, neighbours are read together.
        rows = torch.from_numpy(ids if order is None else ids[order])
        buffer = self._buffers[self._asked % 2]
        self._asked += 1
        coming = self._thread.submit(self._gather, rows, buffer)
        return lambda: self._arrived(coming, order)

    def _gather(self, rows: torch.Tensor, buffer: _Buffer) -> Sent:
        if self._send is None:
            gathered_nD = self.table_ND.index_select(0, rows).to(self.device)
            return Sent(gathered_nD, lambda: None, lambda: None)
        buffer.freed()
        if buffer.memory_ND is None or len(buffer.memory_ND) < len(rows):
            shape = (len(rows), *self.table_ND.shape[1:])
            buffer.memory_ND = torch.empty(shape, dtype=self.table_ND.dtype, pin_memory=self.device.type == "cuda")
        filled_nD = buffer.memory_ND[: len(rows)]
        torch.index_select(self.table_ND, 0, rows, out=filled_nD)
        sent = self._send(filled_nD)
        buffer.freed = sent.freed
        return sent

    def _arrived(self, coming: "Future[Sent]", order: Rows | None) -> torch.Tensor:
        sent = coming.result()
        sent.arrive()
        if order is None:
            return sent.rows_nD
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return sent.rows_nD.index_select(0, torch.from_numpy(place).to(sent.rows_nD.device))


@dataclass(frozen=True)
class PairGather:
    """Frozen vectors of queries (Q, G) and documents (N, G), each fetched on its own."""

    queries: HostGather
    documents: HostGather

    def fetch(self, queries_B: Rows, candidates_C: Rows) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        """Begin to fetch the vectors of a batch; give what waits for them, (B, G) and (C, G)."""
        queries, documents = self.queries.fetch(queries_B), self.documents.fetch(candidates_C)
        return lambda: (queries(), documents())


def _cuda_sender(device: torch.device) -> Send:
    """Give what copies a pinned buffer to `device` in a stream of its own."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(filled_nD: torch.Tensor) -> Sent:
        with torch.cuda.stream(stream):
            rows_nD = filled_nD.to(device, non_blocking=True)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(stream)

        def arrive() -> None:
            consumer = torch.cuda.current_stream(device)
            consumer.wait_event(copied)
            # The memory was taken in another stream: it must not be given away while this one reads it.
            rows_nD.record_stream(consumer)

        return Sent(rows_nD, arrive, copied.synchronize)

    return send
