"""Threads of this process. They share its libraries, so all of them compute on what the widest step asks for."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner

from flows.runners.engine import Engine
from flows.runners.machine import local_workers
from negset.threads import on_threads
from schemas.config import BuildConfig


@contextmanager
def open_engine(config: BuildConfig, address: str) -> Iterator[Engine]:
    """Start the threads; what numpy, faiss and torch compute on is set for the process while they work."""
    runner = config.runner
    workers = local_workers(runner)
    widest = max(runner.embed.cpus, runner.mine.cpus, runner.select.cpus)
    pool: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=workers)
    with on_threads(widest), pool:
        yield Engine(runner=pool, workers=workers, asking=lambda _: nullcontext(), threads=lambda _: 0)
