"""Computing on one thread, where the last bits count, or on as many as a task was given."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: with two, the last bits of a product differ, and with them every later step."""
    with on_threads(1):
        yield


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Have numpy, faiss and torch compute on `count` threads; the setting is that of the whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
