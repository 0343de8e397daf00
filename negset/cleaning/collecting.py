"""Collect what may go, write down what will go, look again, and remove it.

Between writing it down and removing it everything is read anew, with the store locked against builds and each set
against publishers: what somebody came to need in between stays.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from negset.cleaning.artifacts import abandoned, list_artifacts, pinned, unneeded
from negset.cleaning.uses import Use, alone, read_uses
from negset.cleaning.versions import set_homes, versions_to_go
from negset.publishing.reading import VERSIONS
from negset.publishing.sharing import MANIFESTS
from negset.store import MANIFEST, Store, discard, locked, make_folder, write_durably
from schemas.manifest import Record

RECORDS: Final = "removed"
_DAY: Final = 86_400.0


class Removal(Record):
    """One thing that may go: a version, an artifact or a staging folder, where it lies, and why."""

    kind: Literal["version", "artifact", "staging"]
    path: str
    bytes: int
    why: str


class Collected(Record):
    """What may go; `removed` where it went. `note` says why whole rooms were not looked at."""

    at: str
    removals: tuple[Removal, ...]
    removed: bool = False
    note: str = ""

    @property
    def bytes(self) -> int:
        """Give the size of all that may go."""
        return sum(one.bytes for one in self.removals)


@dataclass(frozen=True)
class Limits:
    """How much is kept: the last `keep` versions, those of the last `days`, whatever was touched in `grace_days`.

    `unused_days`, where given, lets artifacts of rooms go that were not used for so long and that no version needs.
    """

    keep: int = 10
    days: float = 30
    grace_days: float = 3
    unused_days: float | None = None


def collect(store: Store, sets: Path, limits: Limits, now: datetime) -> Collected:
    """Give what may go of `store` and of the sets below the folder `sets`; nothing is touched.

    Whole rooms stay where a version that stays does not say what it was made from.
    """
    removals = [one for home in set_homes(sets) for one in _versions(home, limits, now)]
    going = {one.path for one in removals}
    uses = [use for use in read_uses(store.root) if use.stands]
    uses = [use for use in uses if str(Path(use.home) / VERSIONS / use.version) not in going]
    silent = _unrecorded(sets, going, uses) if limits.unused_days is not None else []
    note = ""
    if silent:
        note = (
            f"whole rooms stay: {len(silent)} versions, such as {silent[0]}, do not say what they were made from; "
            "an older negset published them. Build those sets again, or let the versions go first"
        )
        limits = replace(limits, unused_days=None)
    removals += _artifacts(store, uses, limits, now)
    for root in (store.root, *set_homes(sets)):
        removals += [
            Removal(kind="staging", path=str(folder), bytes=_size(folder), why="a process that was killed left it")
            for folder in abandoned(root, now.timestamp(), limits.grace_days * _DAY)
        ]
    return Collected(at=now.astimezone(UTC).isoformat(timespec="seconds"), removals=tuple(removals), note=note)


def remove(store: Store, sets: Path, limits: Limits, now: Callable[[], datetime]) -> Collected:
    """Remove what `collect` gives, twice: before and after the store and the sets were locked; give what went.

    What will go is written to <store>/removed/ first. Raises ConflictError where a build runs.
    """
    first = collect(store, sets, limits, now())
    record = store.root / RECORDS / f"{first.at.replace(':', '')}.json"
    make_folder(record.parent)
    write_durably(record, f"{first.model_dump_json(indent=1)}\n".encode())
    with ExitStack() as stack:
        stack.enter_context(alone(store.root))
        for home in set_homes(sets):
            stack.enter_context(locked(home / ".lock"))
        wanted = {one.path for one in first.removals}
        again = collect(store, sets, limits, now())
        going = tuple(one for one in again.removals if one.path in wanted)
        for one in going:
            _remove(one)
    done = first.model_copy(update={"removals": going, "removed": True})
    write_durably(record, f"{done.model_dump_json(indent=1)}\n".encode())
    return done


def _versions(home: Path, limits: Limits, now: datetime) -> Iterator[Removal]:
    grace = limits.grace_days * _DAY
    for name in versions_to_go(home, now, keep=limits.keep, days=limits.days, grace=grace):
        folder = home / VERSIONS / name
        why = (
            f"not among the last {limits.keep}, older than {limits.days:g} days, no tag, no kept version came after it"
        )
        yield Removal(kind="version", path=str(folder), bytes=_size(folder), why=why)


def _artifacts(store: Store, uses: Sequence[Use], limits: Limits, now: datetime) -> Iterator[Removal]:
    found = list_artifacts(store)
    unused = None if limits.unused_days is None else limits.unused_days * _DAY
    needed = {*(name for use in uses for name in use.artifacts), *pinned(store.root, found)}
    going = unneeded(found, needed, now.timestamp(), grace=limits.grace_days * _DAY, unused=unused)
    for name, why in going.items():
        yield Removal(kind="artifact", path=str(store.folder(*name)), bytes=found[name].bytes, why=why)


def _unrecorded(sets: Path, going: set[str], uses: Sequence[Use]) -> list[str]:
    """Give the versions that stay and do not say what they were made from."""
    known = {str(Path(use.home) / VERSIONS / use.version) for use in uses}
    staying = (path for home in set_homes(sets) for path in sorted((home / VERSIONS).iterdir()) if path.name[0] != ".")
    return [str(path) for path in staying if str(path) not in going | known]


def _remove(one: Removal) -> None:
    """Remove a folder in two steps; of a version the manifest stays, for history and comparisons."""
    folder = Path(one.path)
    if one.kind == "version" and (folder / MANIFEST).is_file():
        kept = folder.parents[1] / MANIFESTS / folder.name / MANIFEST
        make_folder(kept.parent)
        write_durably(kept, (folder / MANIFEST).read_bytes())
    if folder.exists():
        discard(folder)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
