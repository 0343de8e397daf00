"""The line of a set: every version that was its latest, in a folder or an object store."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from negset.errors import ConfigError, MissingObjectError
from negset.objects.objects import Objects
from negset.publishing.moves import catch_up, read_moves
from negset.publishing.publish import HistoryEntry, read_history
from negset.publishing.reading import VERSIONS, read_latest
from negset.publishing.tags import read_tags, shared_tags
from negset.store import MANIFEST
from schemas.manifest import Record


class Step(Record):
    """A move of LATEST, and what its version is now: which tags it has, whether its files are still there."""

    n: int
    id: str
    parent: str | None
    published_at: str
    by: str
    latest: bool
    tags: tuple[str, ...]
    there: bool


class Line(Record):
    """The moves of LATEST, oldest first, and all tags by name."""

    dataset: str
    latest: str | None
    steps: tuple[Step, ...]
    tags: dict[str, str]

    def ids(self) -> list[str]:
        """Give the id of every version that is still there, each once, in the order of their first moves."""
        return list(dict.fromkeys(step.id for step in self.steps if step.there))


def local_line(home: Path) -> Line:
    """Read the line of the set folder `home`."""
    entries = read_history(home)
    there = {entry.id: (home / VERSIONS / entry.id / MANIFEST).is_file() for entry in entries}
    return _line(home.name, read_latest(home), entries, read_tags(home), there)


def shared_line(objects: Objects, dataset: str) -> Line:
    """Read the line of the shared set `dataset`."""
    latest, number = catch_up(objects, dataset)
    entries = [move.entry for move in read_moves(objects, dataset)[:number]]
    there = {identity: _is_there(objects, dataset, identity) for identity in {entry.id for entry in entries}}
    return _line(dataset, latest, entries, shared_tags(objects, dataset), there)


def version_before(line: Line) -> str:
    """Give the version that was the latest before the present one came.

    What counts is when that came first: going back twice goes back two versions, not there and back.
    Raises ConfigError where there is none, or its files are gone.
    """
    first = next((step for step in line.steps if step.id == line.latest), None)
    if first is None or first.parent is None:
        message = f"{line.dataset} has no version before {line.latest}; negset history lists them"
        raise ConfigError(message)
    if first.parent not in line.ids():
        message = f"the files of {first.parent}, the version before {line.latest}, are gone: name another version"
        raise ConfigError(message)
    return first.parent


def _line(
    dataset: str,
    latest: str | None,
    entries: Sequence[HistoryEntry],
    tags: Mapping[str, str],
    there: Mapping[str, bool],
) -> Line:
    last = max((entry.n for entry in entries if entry.id == latest), default=0)
    steps = tuple(
        Step(
            n=entry.n,
            id=entry.id,
            parent=entry.parent,
            published_at=entry.published_at,
            by=entry.by,
            latest=entry.n == last,
            tags=tuple(name for name, identity in sorted(tags.items()) if identity == entry.id),
            there=there[entry.id],
        )
        for entry in entries
    )
    return Line(dataset=dataset, latest=latest, steps=steps, tags=dict(sorted(tags.items())))


def _is_there(objects: Objects, dataset: str, identity: str) -> bool:
    try:
        objects.get(f"{dataset}/{VERSIONS}/{identity}/{MANIFEST}")
    except MissingObjectError:
        return False
    return True
