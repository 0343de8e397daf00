"""Ray: worker processes of this machine, started for the build, or a cluster that is there.

Ray begins a task again elsewhere when its worker dies, three times.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import ray
from prefect.futures import PrefectFuture
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options
from ray.exceptions import OutOfMemoryError, WorkerCrashedError

from flows.runners.engine import Engine
from flows.runners.machine import local_workers, worker_environment
from negset.errors import ConfigError
from negset.mining.budget import memory_bytes
from schemas.config import BuildConfig
from schemas.runner import NeedsConfig


@contextmanager
def open_engine(config: BuildConfig, address: str) -> Iterator[Engine]:
    """Connect to the head at `address`, or start worker processes here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    widest = max(config.runner.embed.cpus, config.runner.mine.cpus, config.runner.select.cpus)
    here = {} if address else {"num_cpus": local_workers(config.runner) * widest, "include_dashboard": False}
    environment = {"env_vars": worker_environment(widest)}
    with RayTaskRunner(address=address or None, init_kwargs={"runtime_env": environment, **here}) as runner:
        has = ray.cluster_resources()
        yield Engine(
            runner=runner,
            workers=max(int(has.get("CPU", 1)) // widest, 1),
            asking=partial(_asking, config.resources.memory if address else ""),
            threads=lambda needs: needs.cpus,
            lost=(WorkerCrashedError, OutOfMemoryError),
            copies=True,
            drop=_drop,
        )


def _asking(memory: str, needs: NeedsConfig) -> AbstractContextManager[object]:
    options = asked_options(needs, memory_bytes(memory) if memory else 0, ray.nodes())
    asked: AbstractContextManager[object] = remote_options(**options)
    return asked


def asked_options(needs: NeedsConfig, memory: int, nodes: list[dict[str, Any]]) -> dict[str, float]:
    """Give the options of a remote task that needs that.

    Raises ConfigError where no living node has all of it: Ray would wait for one for ever.
    """
    wanted = {"CPU": float(needs.cpus), "GPU": float(needs.gpus), "memory": float(memory)}
    asked = {name: amount for name, amount in wanted.items() if amount}
    living = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(node.get(name, 0.0) >= amount for name, amount in asked.items()) for node in living):
        message = f"no Ray node has what a task asks for, {asked}; they have {living}"
        raise ConfigError(message)
    names = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    return {names[name]: amount for name, amount in asked.items()}


def _drop(future: PrefectFuture[Any]) -> None:
    ray.cancel(future.wrapped_future, force=True)  # type: ignore[attr-defined]
