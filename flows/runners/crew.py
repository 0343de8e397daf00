"""Those who work on the parts of a build: an engine that is opened when there is first something to do."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import ParamSpec, TypeVar, cast

from prefect import Task
from prefect.utilities.callables import get_call_parameters

from flows.runners.engine import Engine, open_engine
from flows.runners.machine import with_task_memory
from negset.errors import EnvironmentFault
from schemas.config import BuildConfig
from schemas.refs import Ref
from schemas.runner import CLUSTERS, RunnerConfig
from tasks.place import Place
from tasks.policies import through_cache

P = ParamSpec("P")
R = TypeVar("R")
RefT = TypeVar("RefT", bound=Ref)

_PER_WORKER = 4
"""Tasks of a step for each worker: the last to finish then keeps the others waiting for a quarter of its share."""


class Crew:
    """The workers of one build, none of them started before they are asked."""

    def __init__(self, config: BuildConfig, address: str) -> None:
        self.address = address
        self.config = config
        self._stack = ExitStack()
        self._engine: Engine | None = None

    @property
    def shares(self) -> bool:
        """Tell whether rooms are to be cut into parts."""
        return self.config.runner.kind != "local"

    @property
    def remote(self) -> bool:
        """Tell whether whole rooms are done by the workers too, so that this process holds no data."""
        return self.shares and bool(self.address)

    @property
    def engine(self) -> Engine:
        """Give the engine, started now if it was not."""
        if self._engine is None:
            self._engine = self._stack.enter_context(open_engine(self.config, self.address))
        return self._engine

    def parts(self, worth: float) -> int:
        """Give how many tasks a step is to be cut into whose work is `worth` so many; no engine is started for one."""
        wanted = min(math.floor(worth), self.config.runner.max_tasks)
        return min(wanted, self.engine.workers * _PER_WORKER) if wanted > 1 else 1

    def room(self, chosen: Task[P, RefT], there: bool) -> Callable[P, RefT]:
        """Give `chosen` as a function, which runs it anew unless its artifact is `there`, on a worker if need be."""
        task = through_cache(chosen, there)
        return task if there else self.sent(task)

    def sent(self, chosen: Task[P, R]) -> Callable[P, R]:
        """Give `chosen` as a function, which runs it on a worker where this process is to hold no data."""
        return cast("Callable[P, R]", partial(self._send, chosen)) if self.remote else chosen

    def close(self) -> None:
        """Let the workers go; the next that is asked of them starts new ones."""
        self._engine = None
        self._stack.close()

    def _send(self, task: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given: R = self.engine.runner.submit(task, get_call_parameters(task.fn, args, kwargs)).result()
        except self.engine.lost as error:
            message = f"{task.name}: its workers died again and again (out of memory?): {error}. What was done is kept"
            raise EnvironmentFault(message) from error
        return given


def alone(config: BuildConfig) -> Crew:
    """Give a crew of nobody but this process."""
    return Crew(config.model_copy(update={"runner": RunnerConfig()}), "")


@contextmanager
def open_crew(config: BuildConfig) -> Iterator[Crew]:
    """Give the crew of `config`; its own `config` says how much memory a task of it may take.

    Raises ConfigError for a cluster elsewhere without `resources.memory`: its machines are not this one.
    """
    address = Place().cluster if config.runner.kind in CLUSTERS else ""
    config = with_task_memory(config, address)
    crew = Crew(config, address)
    try:
        yield crew
    finally:
        crew.close()
