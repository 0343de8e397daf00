"""Start processes that work together, hear from them, and end them all when one ends too early."""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import torch
import torch.distributed as dist

from negset.errors import EnvironmentFault, NegsetError
from negset.training.distributed import World

Backend = Literal["gloo", "nccl"]
ResultT = TypeVar("ResultT")
Say = Callable[[object], None]
Work = Callable[[World, Say], ResultT]
"""What each process does; it must be picklable, and so must be what it says and gives."""

_PATIENCE: Final = timedelta(hours=12)
"""How long one waits for another, which may prepare an epoch: that none died is known otherwise."""
_GRACE: Final = 3.0
"""Seconds in which the others may say why, once one has failed: the first to be heard is often not the cause."""


def run_processes(work: Work[ResultT], size: int, backend: Backend, hear: Say = lambda _: None) -> ResultT:
    """Run `work` in `size` processes that form a group of torch.distributed; give what the first of them gave.

    `hear` is told what the first process says. When one fails or dies all are ended: what a process raised of ours is
    raised here, a death raises EnvironmentFault saying which process and how. When this process dies, they end too.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // size)
    with tempfile.TemporaryDirectory() as folder:
        started: dict[int, tuple[SpawnProcess, Connection]] = {}
        try:
            for rank in range(size):
                heard, said = context.Pipe(duplex=False)
                job = (work, World(rank, size), backend, str(Path(folder) / "meeting"), threads, said)
                process = context.Process(target=_child, args=job, daemon=True)
                process.start()
                said.close()
                started[rank] = (process, heard)
            return cast("ResultT", _listen(started, hear))
        finally:
            _end([process for process, _ in started.values()])


def _listen(started: Mapping[int, tuple[SpawnProcess, Connection]], hear: Say) -> object:
    """Hear all processes until each has given its result; raise what went wrong in one of them."""
    waiting: dict[object, int] = {heard: rank for rank, (_, heard) in started.items()}
    given: object = None
    failed: list[tuple[float, NegsetError]] = []
    while waiting and not any(_sure(error) for _, error in failed):
        ready = wait([started[rank][1] for rank in waiting.values()], _GRACE if failed else None)
        if not ready:
            break
        for heard in ready:
            rank = waiting[heard]
            kind, value = _receive(rank, started)
            if kind == "said":
                hear(value)
                continue
            del waiting[heard]
            if kind == "error":
                failed.append(value)
            elif rank == 0:
                given = value
    if failed:
        raise min(failed, key=lambda one: (not _sure(one[1]), one[0]))[1]
    return given


def _receive(rank: int, started: Mapping[int, tuple[SpawnProcess, Connection]]) -> tuple[str, Any]:
    process, heard = started[rank]
    try:
        message = heard.recv_bytes()
    except (EOFError, OSError):
        # Its end of the pipe closed without a word.
        return "error", (time.monotonic(), _death(rank, len(started), process))
    # Plain pickle: multiprocessing's own hands tensors over through a process that may have ended. Outside the block:
    # what cannot be read is no death.
    kind, value = pickle.loads(message)  # noqa: S301 - our own process wrote it
    return kind, value


def _sure(error: NegsetError) -> bool:
    """Say whether an error is a cause: one whose neighbour is gone raises later, and something about a connection."""
    return type(error) is not NegsetError


def _death(rank: int, size: int, process: SpawnProcess) -> EnvironmentFault:
    process.join(_GRACE)
    code = process.exitcode
    how = f"with exit code {code}" if code is None or code >= 0 else f"by {signal.Signals(-code).name}"
    why = "; the system ends processes so when memory runs out" if code == -signal.SIGKILL else ""
    return EnvironmentFault(
        f"process {rank} of {size} ended {how}{why}. All were ended; run it again to go on from the last checkpoint"
    )


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def _child(work: Work[ResultT], world: World, backend: Backend, meeting: str, threads: int, said: Connection) -> None:
    """Join the group, work, and say how it went. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of it and ends all
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)

    def say(value: object) -> None:
        if world.first:
            _send(said, "said", value)

    try:
        if backend == "nccl":
            torch.cuda.set_device(world.rank)
        dist.init_process_group(backend, f"file://{meeting}", _PATIENCE, world_size=world.size, rank=world.rank)
        result = work(world, say)
        # None leaves while another may still ask it for something.
        dist.barrier()
        _send(said, "result", result if world.first else None)
    except NegsetError as error:
        _send(said, "error", (time.monotonic(), error))
    except Exception as error:
        message = f"process {world.rank} of {world.size} failed: {type(error).__name__}: {error}"
        failure = NegsetError(message)
        failure.add_note(traceback.format_exc())
        _send(said, "error", (time.monotonic(), failure))
    finally:
        said.close()
    with suppress(Exception):
        dist.destroy_process_group()


def _send(said: Connection, kind: str, value: object) -> None:
    said.send_bytes(pickle.dumps((kind, value)))


def _leave_with_parent() -> None:
    """End this process when its parent does, also by SIGKILL: nobody would hear or end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
