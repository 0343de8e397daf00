"""How long to go on when an object store fails in a way that may pass."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from negset.errors import TransientError

T = TypeVar("T")

_CHANCE = random.SystemRandom()
"""Spreads the attempts of several machines; decides when something is tried, never what is written."""


@dataclass(frozen=True)
class Patience:
    """Seconds to spend on one operation, pauses and all, and the pauses between its attempts.

    A pause is drawn evenly from nothing up to a limit, which doubles from `first` to `longest`. The last attempt
    starts before `deadline`; one request takes `request` seconds at most, and that of a large file 30 times as long.
    """

    deadline: float = 120.0
    first: float = 0.2
    longest: float = 15.0
    request: float = 30.0


def persist(
    attempt: Callable[[], T],
    what: str,
    patience: Patience,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call `attempt` until it gives something or fails otherwise than by a TransientError.

    Raises a TransientError that says `what` was tried, how often and for how long, once `patience` ends.
    """
    start, limit, tries = clock(), patience.first, 0
    while True:
        tries += 1
        try:
            return attempt()
        except TransientError as error:
            spent = clock() - start
            pause = _CHANCE.uniform(0, limit)
            if spent + pause >= patience.deadline:
                message = f"{what}: no success in {tries} attempts over {spent:.1f} s: {error}. Run again later"
                raise TransientError(message) from error
        sleep(pause)
        limit = min(2 * limit, patience.longest)
