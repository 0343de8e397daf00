"""Run sub-flows side by side, each in a process of its own.

Not in threads: a room that fits on one thread sets that for the whole process, and two such rooms would undo each
other's setting and with it the last bits of what they fit.
"""

import logging
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

import cloudpickle
from prefect.context import hydrated_context, serialize_context

from flows.orphans import leave_with_parent
from flows.session import leave_out_repeats
from negset.periods.choosing import Only
from schemas.config import BuildConfig

_log = logging.getLogger("negset.backfill")

Call = tuple[BuildConfig, str, Only, str]
"""Dataset, partition, what is asked for, and the label of the backfill."""


class Run(Protocol):
    """A function of a module that runs a sub-flow in a worker, below the run whose `context` it is given."""

    def __call__(self, context: bytes, config: BuildConfig, key: str, only: Only, label: str) -> str:
        """Give the version that was published, or nothing."""


def run_apart(run: Run, calls: Sequence[Call], workers: int) -> None:
    """Call `run` with each of `calls`, `workers` at a time, for sub-flows of the flow that goes on here.

    A failure is logged and stops no other call. Where a process is killed, what was running is begun again once, each
    alone: a partition that takes too much memory then kills itself only.
    """
    waiting = deque(calls)
    while waiting:
        for call in _run_until_broken(run, waiting, workers):
            if _run_until_broken(run, deque([call]), 1):
                _log.warning("%s/%s: its process was killed twice (out of memory?)", call[0].name, call[1])


def _run_until_broken(run: Run, waiting: deque[Call], workers: int) -> list[Call]:
    """Take calls from `waiting` until none is left or a process was killed; give those that were running then."""
    context, running = cloudpickle.dumps(serialize_context()), dict[Future[str], Call]()
    broken: list[Call] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(waiting)), spawn, leave_with_parent) as pool:
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < workers:
                call = waiting.popleft()
                running[pool.submit(run, context, *call)] = call
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                call = running.pop(done)
                if not _told(done, call):
                    broken.append(call)
    return broken


def _told(done: Future[str], call: Call) -> bool:
    """Log how a call ended; False where its process was killed."""
    try:
        _log.info("%s/%s: %s", call[0].name, call[1], done.result() or "up to date")
    except BrokenProcessPool:
        return False
    except Exception as error:  # whatever it is, it is this partition's alone
        _log.warning("%s/%s: %s: %s", call[0].name, call[1], type(error).__name__, error)
    return True


@contextmanager
def below(context: bytes) -> Iterator[None]:
    """Have flows that are called in the block be sub-flows of the run whose `context` it is."""
    leave_out_repeats()
    with hydrated_context(cloudpickle.loads(context)):
        yield
