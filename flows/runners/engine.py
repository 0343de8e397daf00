"""What an engine is to a build: something to submit tasks to, and what is known of its workers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from negset.errors import ConfigError
from schemas.config import BuildConfig
from schemas.runner import NeedsConfig, RunnerKind


@dataclass(frozen=True)
class Engine:
    """A task runner that was started, and what its kind does differently."""

    runner: TaskRunner[Any]
    workers: int
    """Tasks that it can run at once."""
    asking: Callable[[NeedsConfig], AbstractContextManager[object]]
    """Submit in this context what needs that; raises ConfigError where no worker has it."""
    threads: Callable[[NeedsConfig], int]
    """Threads that a task is to set for its process; 0 where they are set for all."""
    lost: tuple[type[BaseException], ...] = ()
    """What a future raises where workers died over its task."""
    ends_with_a_worker: bool = False
    """Whether the engine itself is lost with one of its workers."""
    copies: bool = False
    """Whether a task that takes too long may be given to a second worker."""
    drop: Callable[[PrefectFuture[Any]], None] = lambda _: None
    """Tell the engine that nobody waits for this task any more."""


class EngineModule(Protocol):
    """What the module of a kind offers."""

    def open_engine(self, config: BuildConfig, address: str) -> AbstractContextManager[Engine]:
        """Start the engine, or connect to the one at `address`."""


_MODULES: dict[RunnerKind, tuple[str, str]] = {
    "threads": ("flows.runners.thread_pool", ""),
    "processes": ("flows.runners.process_pool", ""),
    "dask": ("flows.runners.on_dask", "prefect_dask"),
    "ray": ("flows.runners.on_ray", "prefect_ray"),
}


@contextmanager
def open_engine(config: BuildConfig, address: str) -> Iterator[Engine]:
    """Open the engine that `config` names.

    Raises ConfigError where its libraries are not installed.
    """
    kind = config.runner.kind
    name, needed = _MODULES[kind]
    try:
        module = cast("EngineModule", import_module(name))
    except ModuleNotFoundError as error:
        message = f"runner.kind is {kind!r}, but {error.name or needed} is not installed: pip install 'negset[{kind}]'"
        raise ConfigError(message) from error
    with module.open_engine(config, address) as engine:
        yield engine
