"""What of this machine a runner may take."""

import os

from negset.mining.budget import memory_bytes
from schemas.runner import RunnerConfig


def local_workers(runner: RunnerConfig) -> int:
    """Give the workers asked for, or as many as there are processors for the widest task."""
    widest = max(runner.embed.cpus, runner.mine.cpus, runner.select.cpus)
    return runner.workers or max(len(os.sched_getaffinity(0)) // widest, 1)


def task_memory(memory: str, workers: int) -> str:
    """Give the memory of one task: what is asked for, or its share of what a build takes of this machine."""
    return memory or f"{memory_bytes('') // workers // 10**6}MB"


def worker_environment(threads: int) -> dict[str, str]:
    """Give the variables that keep the libraries of a new process to so many threads from their import on."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(threads))
