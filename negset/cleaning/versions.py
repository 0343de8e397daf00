"""Find the versions of a set that may go."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from negset.errors import ArtifactError
from negset.publishing.manifest import read_manifest
from negset.publishing.publish import HistoryEntry, read_history
from negset.publishing.reading import LATEST, VERSIONS, read_latest
from negset.publishing.tags import read_tags


def set_homes(sets: Path) -> Iterator[Path]:
    """Give the folder of every set below the folder `sets`, partitions of datasets among them."""
    for latest in sorted(sets.rglob(LATEST)):
        if (latest.parent / VERSIONS).is_dir():
            yield latest.parent


def versions_to_go(home: Path, now: datetime, *, keep: int, days: float, grace: float) -> list[str]:
    """Give the versions of the set folder `home` that may go, sorted.

    Kept are the latest, the tagged, the `keep` that were latest last, those that were so within `days` days, what a
    kept version is compared with or was mined again from, and folders touched within `grace` seconds: what is not in
    the history may be about to be published.
    """
    there = {path.name: path for path in sorted((home / VERSIONS).iterdir()) if not path.name.startswith(".")}
    entries = read_history(home)
    recent = list(dict.fromkeys(entry.id for entry in reversed(entries)))[: max(keep, 1)]
    young = {entry.id for entry in entries if _published(entry) > now - timedelta(days=days)}
    kept = {*recent, *young, *read_tags(home).values(), *filter(None, [read_latest(home)])}
    kept |= {parent for name in kept for parent in _parents(name, entries, there)}
    oldest = now.timestamp() - grace
    return [name for name, path in there.items() if name not in kept and path.stat().st_mtime < oldest]


def _parents(name: str, entries: list[HistoryEntry], there: dict[str, Path]) -> Iterator[str]:
    """Give what the version `name` came after, each time, and the round before its own."""
    yield from (entry.parent for entry in entries if entry.id == name and entry.parent is not None)
    try:
        round_of = read_manifest(there[name]).round if name in there else None
    except ArtifactError:
        return  # damaged, or of another release; it stays, and what it says is not known
    if round_of is not None and round_of.parent is not None:
        yield round_of.parent


def _published(entry: HistoryEntry) -> datetime:
    at = datetime.fromisoformat(entry.published_at)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
