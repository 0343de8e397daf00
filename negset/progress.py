"""How the core tells its caller how far it is, without printing."""

from typing import Protocol


class Progress(Protocol):
    """Be told of each step: a name, how many units are done, how many there are."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of `step` are done."""


def no_progress(step: str, done: int, total: int) -> None:
    """Ignore every step."""
