"""Dask: worker processes of this machine, started for the build, or a cluster that is there.

Dask itself begins a task again elsewhere when its worker dies, three times; then the task is given up as what kills
them. Each worker must run one task at a time, since the threads of libraries are set for a whole process.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final

from dask.base import annotate
from distributed import KilledWorker, LocalCluster
from prefect.futures import PrefectFuture
from prefect_dask.task_runners import DaskTaskRunner

from flows.runners.engine import Engine
from flows.runners.machine import local_workers, worker_environment
from negset.errors import ConfigError, EnvironmentFault
from negset.mining.budget import memory_bytes
from schemas.config import BuildConfig
from schemas.runner import NeedsConfig
from tasks.parts import Whereabouts, whereabouts

CPU: Final = "CPU"
GPU: Final = "GPU"
MEMORY: Final = "MEMORY"
"""Names under which workers declare what they have: `dask worker --resources "CPU=4 GPU=1 MEMORY=16e9"`."""
PATIENCE: Final = 120.0
"""Seconds that a cluster may take to bring its first worker."""

Worker = Mapping[str, Any]
"""What the scheduler says of a worker."""


@contextmanager
def open_engine(config: BuildConfig, address: str) -> Iterator[Engine]:
    """Connect to the scheduler at `address`, or start worker processes here.

    Raises EnvironmentFault where it has no worker, ConfigError where a worker runs several tasks in one process, has
    another store or another version.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)
    with _open_runner(config, address) as runner:
        workers = _workers(runner, address or "of this machine")
        if address:
            check_workers(runner.client.run(whereabouts), whereabouts())
        yield Engine(
            runner=runner,
            workers=len(workers),
            asking=partial(_asking, runner, config.resources.memory),
            threads=lambda needs: needs.cpus,
            lost=(KilledWorker,),
            copies=True,
            drop=_drop,
        )


def _open_runner(config: BuildConfig, address: str) -> DaskTaskRunner:
    if address:
        return DaskTaskRunner(address=address)
    widest = max(config.runner.embed.cpus, config.runner.mine.cpus, config.runner.select.cpus)
    return DaskTaskRunner(
        cluster_class=LocalCluster,
        cluster_kwargs={
            "n_workers": local_workers(config.runner),
            "threads_per_worker": 1,
            "env": worker_environment(widest),
            # Dask counts the pages of mapped vectors as a worker's own and would kill it for them.
            "memory_limit": 0,
            "dashboard_address": "127.0.0.1:0",
        },
    )


def _workers(runner: DaskTaskRunner, where: str) -> dict[str, Worker]:
    try:
        runner.client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        message = f"the Dask cluster {where} had no worker for {PATIENCE:.0f} s: start some with `dask worker ADDRESS`"
        raise EnvironmentFault(message) from error
    found: dict[str, Worker] = runner.client.scheduler_info(n_workers=-1)["workers"]
    crowded = sorted(name for name, worker in found.items() if worker["nthreads"] > 1)
    if crowded:
        message = (
            f"{len(crowded)} Dask workers run several tasks in one process, first {crowded[0]}: start them with "
            "--nthreads 1, and --nworkers for as many as there are to be"
        )
        raise ConfigError(message)
    return found


def check_workers(found: Mapping[str, Whereabouts], here: Whereabouts) -> None:
    """Raise ConfigError where a worker takes another place for the store or the sets, or runs another version."""
    for name, worker in sorted(found.items()):
        for what in ("version", "store", "sets"):
            theirs, ours = getattr(worker, what), getattr(here, what)
            if theirs != ours:
                message = (
                    f"the worker {name} on {worker.host} has {what} {theirs}, this process {ours}: all need the same "
                    "negset, and the same NEGSET_STORE and NEGSET_SETS in a place that all reach"
                )
                raise ConfigError(message)


def _asking(runner: DaskTaskRunner, memory: str, needs: NeedsConfig) -> AbstractContextManager[object]:
    workers = runner.client.scheduler_info(n_workers=-1)["workers"].values()
    wanted = asked_resources(needs, memory_bytes(memory), [worker["resources"] for worker in workers])
    return annotate(resources=wanted) if wanted else nullcontext()


def asked_resources(needs: NeedsConfig, memory: int, declared: list[dict[str, float]]) -> dict[str, float]:
    """Give what a task asks of its worker, by the names under which some of the workers declared what they have.

    Devices are asked for even where nobody has them; processors and memory only where somebody said what he has.
    Raises ConfigError where no worker has all of it: Dask would wait for one for ever.
    """
    known = {name for resources in declared for name in resources}
    wanted = {CPU: float(needs.cpus), GPU: float(needs.gpus), MEMORY: float(memory)}
    asked = {name: amount for name, amount in wanted.items() if amount and (name in known or name == GPU)}
    if not any(all(resources.get(name, 0.0) >= amount for name, amount in asked.items()) for resources in declared):
        most = {name: max((resources.get(name, 0.0) for resources in declared), default=math.nan) for name in asked}
        message = f"no Dask worker has what a task asks for, {asked}; the most that any has is {most}"
        raise ConfigError(message)
    return asked


def _drop(future: PrefectFuture[Any]) -> None:
    future.wrapped_future.cancel(force=True)  # type: ignore[attr-defined]
