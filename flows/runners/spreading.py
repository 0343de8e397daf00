"""Have a crew do the parts of a room: every part once at least, whoever dies or dawdles.

What a part leaves are artifacts, so that doing it twice costs time alone. Dask and Ray begin a part again by
themselves when its worker dies; where they give up, or a pool of processes is lost, it is begun again here.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from httpx import HTTPError
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Crashed

from flows.runners.crew import Crew
from flows.runners.engine import Engine
from negset.errors import EnvironmentFault
from negset.progress import Progress, no_progress
from schemas.runner import NeedsConfig

R = TypeVar("R")

ATTEMPTS: Final = 3
"""Times that a part is begun before it is taken for what kills its workers."""
PATIENCE: Final = 60.0
"""Seconds without a finished part before those that are left may be given to other workers too."""
_SLOWER: Final = 3.0
"""How many times longer than usual a part may take before that."""
_POLL: Final = 1.0

_log = logging.getLogger("negset.runner")


@dataclass
class _Round(Generic[R]):
    """Parts that one engine was given, and what came back of them."""

    engine: Engine
    chosen: Task[..., R]
    needs: NeedsConfig
    calls: Sequence[Mapping[str, object]]
    done: SimpleQueue[PrefectFuture[R]] = field(default_factory=SimpleQueue)
    running: dict[PrefectFuture[R], int] = field(default_factory=dict)
    found: dict[int, R] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)

    def give(self, numbers: Sequence[int]) -> None:
        with self.engine.asking(self.needs):
            for number in numbers:
                call = {**self.calls[number], "threads": self.engine.threads(self.needs)}
                future = self.engine.runner.submit(self.chosen, call)
                self.running[future] = number
                future.add_done_callback(self.done.put)

    def take(self, future: PrefectFuture[R]) -> None:
        """Note how a part ended; of several that do the same, the first counts."""
        number = self.running.pop(future)
        if number in self.found:
            return
        try:
            self.found[number] = future.result()
        except self.engine.lost as error:
            _log.warning("%s: a worker was lost: %s: %s", self.chosen.name, type(error).__name__, error)
            _note_crash(future)
            if number not in self.running.values():
                self.lost.append(number)

    def left(self) -> list[int]:
        """Give the parts that have neither come back nor been lost."""
        return sorted(set(self.running.values()) - set(self.found))

    def drop_rest(self) -> None:
        for future in self.running:
            self.engine.drop(future)


def spread(
    crew: Crew,
    chosen: Task[..., R],
    needs: NeedsConfig,
    calls: Sequence[Mapping[str, object]],
    progress: Progress = no_progress,
    *,
    patience: float = PATIENCE,
) -> list[R]:
    """Run `chosen` with each of `calls` and the threads it may use; give what came back, in the order of `calls`.

    Raises what a part raises, after which no other is begun, and EnvironmentFault where workers died over one too
    often.
    """
    found: dict[int, R] = {}
    losses = Counter[int]()
    while len(found) < len(calls):
        todo = [number for number in range(len(calls)) if number not in found]
        one = _Round(crew.engine, chosen, needs, calls, found=found)
        try:
            one.give(todo)
            _watch(one, patience, progress)
        finally:
            one.drop_rest()
        losses.update(one.lost)
        if one.lost and one.engine.ends_with_a_worker:
            crew.close()
        if one.lost and max(losses.values()) >= ATTEMPTS:
            message = (
                f"{chosen.name}: workers died {ATTEMPTS} times over the same part (out of memory?): lower "
                "resources.memory or runner.workers, or cut the corpus into more partitions; what was done is kept"
            )
            raise EnvironmentFault(message)
    return [found[number] for number in range(len(calls))]


def _watch(one: _Round[R], patience: float, progress: Progress) -> None:
    """Take what comes back until nothing is left; give late parts to a second worker."""
    begun = last = time.monotonic()
    before, copied = len(one.found), False
    while left := one.left():
        try:
            one.take(one.done.get(timeout=min(_POLL, patience)))
        except Empty:
            back, waited = len(one.found) - before, time.monotonic() - last
            late = is_late(len(left), back, one.engine.workers, waited, last - begun, patience)
            if late and one.engine.copies and not copied:
                _log.warning("%s: %d parts are late, others begin them too", one.chosen.name, len(left))
                one.give(left)
                copied = True
            continue
        last = time.monotonic()
        progress(one.chosen.name, len(one.found), len(one.calls))


def is_late(left: int, back: int, workers: int, waited: float, worked: float, patience: float) -> bool:
    """Say whether the parts that are `left` are late, for workers that have nothing to do.

    `back` parts came back in `worked` seconds from as many `workers`, which says how long one usually takes; since then
    `waited` seconds went by.
    """
    if left >= workers or not back:
        return False
    return waited > max(patience, _SLOWER * worked * workers / back)


def _note_crash(future: PrefectFuture[Any]) -> None:
    """Have the server say that the task run is over: its process cannot."""
    state: State[Any] = Crashed(message="The process that ran this part died; the part is begun again.")
    # The server knows of it only once it has begun; and what is shown there is not worth a build.
    with suppress(HTTPError), get_client(sync_client=True) as client:
        client.set_task_run_state(future.task_run_id, state, force=True)
