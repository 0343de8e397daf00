"""What of this machine a runner may take."""

import os

from negset.errors import ConfigError
from negset.mining.budget import memory_bytes
from schemas.config import BuildConfig
from schemas.runner import RunnerConfig


def local_workers(runner: RunnerConfig) -> int:
    """Give the workers asked for, or as many as there are processors for the widest task."""
    widest = max(runner.embed.cpus, runner.mine.cpus, runner.select.cpus)
    return runner.workers or max(len(os.sched_getaffinity(0)) // widest, 1)


def with_task_memory(config: BuildConfig, address: str) -> BuildConfig:
    """Give `config` with the memory of one task: what it asks for, or an equal share of what a build takes here.

    Raises ConfigError for a cluster at an `address` without `resources.memory`: its machines are not this one.
    """
    if config.runner.kind == "local" or config.resources.memory:
        return config
    if address:
        message = (
            f"NEGSET_CLUSTER is {address}: say in resources.memory what one task may take of a worker's machine, such "
            "as 4GB"
        )
        raise ConfigError(message)
    share = f"{memory_bytes('') // local_workers(config.runner) // 10**6}MB"
    return config.model_copy(update={"resources": config.resources.model_copy(update={"memory": share})})


def worker_environment(threads: int) -> dict[str, str]:
    """Give the variables that keep the libraries of a new process to so many threads from their import on."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(threads))
