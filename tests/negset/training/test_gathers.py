import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ContractError
from negset.training.gathers import HostGather, Sent

CPU = torch.device("cpu")
TABLE = torch.arange(60.0).view(20, 3)


def copied(filled):
    """Move a buffer at once, by a copy."""
    return Sent(filled.clone(), lambda: None, lambda: None)


@pytest.mark.parametrize("send", [None, copied])
@given(st.lists(st.lists(st.integers(0, 19), max_size=12), min_size=1, max_size=5))
def test_rows_are_those_asked_for_in_their_order(send, batches):
    """Repeats, nothing at all, any order, and more than fitted the last time."""
    gather = HostGather(TABLE, CPU, send)
    for ids in batches:
        rows = np.array(ids, dtype=np.int64)
        assert torch.equal(gather.fetch(rows)(), TABLE[torch.from_numpy(rows)])


def test_fetches_may_be_taken_late_and_out_of_turn():
    gather = HostGather(TABLE, CPU, copied)
    waiting = [gather.fetch(np.array([number, 0, number])) for number in range(6)]
    for number in (3, 0, 5, 1, 4, 2):
        assert torch.equal(waiting[number](), TABLE[[number, 0, number]])


@pytest.mark.parametrize("ids", [[0, 20], [-1], [5, -3, 2]])
def test_a_row_that_is_not_there_is_named(ids):
    wrong = next(one for one in ids if not 0 <= one < 20)
    with pytest.raises(ContractError, match=f"row {wrong} was asked of a table of 20 rows"):
        HostGather(TABLE, CPU).fetch(np.array(ids))


def test_a_failure_in_the_thread_is_raised_where_rows_are_taken():
    def broken(filled):
        raise MemoryError

    waiting = HostGather(TABLE, CPU, broken).fetch(np.array([1]))
    with pytest.raises(MemoryError):
        waiting()


class SlowConsumer:
    """Reads buffers where they lie, as a copy to a device does, and lets go of each only when told to."""

    def __init__(self):
        self.released = []

    def send(self, filled):
        free = threading.Event()
        self.released.append(free)
        return Sent(filled, lambda: None, lambda: free.wait(30))


def test_a_buffer_is_not_filled_again_before_its_consumer_is_done():
    """Without the wait the third fetch would overwrite the first."""
    consumer = SlowConsumer()
    gather = HostGather(TABLE, CPU, consumer.send)
    first, second, third = (gather.fetch(np.array(ids)) for ids in ([1, 2], [3, 4], [5, 6]))
    taken, other = first(), second()
    time.sleep(0.2)
    assert torch.equal(taken, TABLE[[1, 2]])
    assert torch.equal(other, TABLE[[3, 4]])
    assert len(consumer.released) == 2
    consumer.released[0].set()
    assert torch.equal(third(), TABLE[[5, 6]])
    # The same memory, filled again: that is what two buffers mean.
    assert third().data_ptr() == taken.data_ptr()
    assert other.data_ptr() != taken.data_ptr()


def test_gathering_goes_on_while_the_caller_works():
    """The thread fills the second buffer before the first is taken."""
    consumer = SlowConsumer()
    gather = HostGather(TABLE, CPU, consumer.send)
    waiting = [gather.fetch(np.array([number])) for number in range(2)]
    until = time.monotonic() + 10
    while len(consumer.released) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert [float(one()[0, 0]) for one in waiting] == [0.0, 3.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_rows_arrive_through_pinned_memory():
    table = torch.randn(5000, 64)
    gather = HostGather(table, torch.device("cuda"))
    drawn = np.random.default_rng(3)
    batches = [drawn.integers(0, 5000, size) for size in (100, 1, 2000, 0, 700, 3000)]
    waiting = [gather.fetch(ids) for ids in batches]
    for ids, one in zip(batches, waiting, strict=True):
        assert torch.equal(one().cpu(), table[torch.from_numpy(ids)])
