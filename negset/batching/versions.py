"""Older versions of a published set, by age: the newest has age 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negset.publishing.publish import read_history
from negset.publishing.reading import VERSIONS
from negset.store import MANIFEST


@dataclass(frozen=True)
class ListedVersion:
    """A version in the history of a set. `folder` is None where it was deleted since."""

    version: str
    age: int
    folder: Path | None


def listed_versions(version_folder: Path) -> Sequence[ListedVersion]:
    """List the version in `version_folder`, age 1, and those that were the latest of its set before it, by age.

    A version that was the latest more than once is as old as the last time. A version that stands by itself, outside
    of the folder of a set, has no older ones.
    """
    name, home = version_folder.name, version_folder.parent.parent
    history = [entry.id for entry in read_history(home)] if version_folder.parent.name == VERSIONS else []
    before = history[: len(history) - history[::-1].index(name) - 1] if name in history else []
    older = list(dict.fromkeys(one for one in reversed(before) if one != name))
    found = [ListedVersion(name, 1, version_folder)]
    for age, version in enumerate(older, start=2):
        folder = home / VERSIONS / version
        found.append(ListedVersion(version, age, folder if (folder / MANIFEST).is_file() else None))
    return found
