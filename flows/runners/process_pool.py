"""Processes of this machine, each with its own libraries and threads."""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext

from prefect.task_runners import ProcessPoolTaskRunner

from flows.orphans import begin_worker
from flows.runners.engine import Engine
from flows.runners.machine import local_workers, worker_environment
from schemas.config import BuildConfig


@contextmanager
def open_engine(config: BuildConfig, address: str) -> Iterator[Engine]:
    """Start the processes when they are first needed. One that dies takes the whole pool with it."""
    runner = config.runner
    workers = local_workers(runner)
    widest = max(runner.embed.cpus, runner.mine.cpus, runner.select.cpus)
    pool: ProcessPoolTaskRunner = ProcessPoolTaskRunner(
        max_workers=workers, initializer=begin_worker, initargs=(worker_environment(widest),)
    )
    with pool:
        yield Engine(
            runner=pool,
            workers=workers,
            asking=lambda _: nullcontext(),
            threads=lambda needs: needs.cpus,
            lost=(BrokenExecutor,),
            ends_with_a_worker=True,
        )
