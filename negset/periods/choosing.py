"""Which partitions a backfill builds, and what it leaves open."""

from collections.abc import Sequence
from typing import Final, Literal

from negset.periods.status import DatasetStatus, PartitionStatus

Only = Literal["", "holes", "missing", "failed", "stale"]
CHOICES: Final[tuple[Only, ...]] = ("holes", "missing", "failed", "stale")
HOLES: Final = ("missing", "no data", "failed")
"""States of a partition that is expected and of which nothing is published, or whose last attempt failed."""
_STATES: Final[dict[Only, tuple[str, ...]]] = {
    "": ("missing", "failed", "late data", "stale"),
    "holes": ("missing", "failed"),
    "missing": ("missing",),
    "failed": ("failed",),
    "stale": ("late data", "stale"),
}


def chosen(partitions: Sequence[PartitionStatus], only: Only = "") -> list[str]:
    """Name the `partitions` to build, in their order: all that are not up to date, or `only` those of one kind.

    What is being built is waited for and looked at again. What was revoked is never built; what has no data is missing
    again once data comes.
    """
    return [one.key for one in partitions if one.state in _STATES[only] or one.state == "building"]


def needs_build(state: str, only: Only) -> bool:
    """Say whether a partition in this `state` still needs its build, once nobody else is at it."""
    return state in _STATES[only]


def holes(status: DatasetStatus) -> list[PartitionStatus]:
    """Give the partitions that are expected and are not there."""
    return [one for one in status.partitions if one.state in HOLES]
