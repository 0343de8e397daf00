"""Find the artifacts of a store that nothing needs.

Every room's artifact is a cache that a later build may find, so none of them is removed unless that is asked for.
Some are parts of others, named in their facts: a part that no other artifact names is what a killed build left, or
what was replaced.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from negset.artifact import ArtifactManifest
from negset.cleaning.uses import Name
from negset.store import MANIFEST, Store
from schemas.refs import CellRef, EncoderRef, IndexRef, PairScoresRef, StatisticsRef, TermCountsRef

PARTS: Final = (CellRef.kind, IndexRef.kind, TermCountsRef.kind, "shard")
"""Kinds that mean nothing by themselves: an artifact of another kind names them."""
_PAID: Final = PairScoresRef.kind
"""Kind that is never removed: a teacher gave it, perhaps for money, and every later build reads it."""
_PINNED: Final = (EncoderRef.kind, StatisticsRef.kind)
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Artifact:
    """An artifact of a store: its size, when it was last used or written, and whom its facts may name."""

    name: Name
    content: str
    bytes: int
    used: float
    named: frozenset[str]


def list_artifacts(store: Store) -> dict[Name, Artifact]:
    """Give every whole artifact of the folder of `store`."""
    found = {}
    for path in sorted(store.root.glob(f"*/*/{MANIFEST}")):
        try:
            manifest = ArtifactManifest.model_validate_json(path.read_bytes())
            seen = path.stat()
        except (OSError, ValueError):
            continue  # half-written, or none of ours: it is left alone
        name = (path.parent.parent.name, path.parent.name)
        if name == (manifest.kind, manifest.fingerprint):
            size = sum(file.bytes for file in manifest.files) + seen.st_size
            found[name] = Artifact(name, manifest.content, size, seen.st_mtime, frozenset(_named(manifest.facts)))
    return found


def unneeded(
    artifacts: Mapping[Name, Artifact], needed: Iterable[Name], now: float, *, grace: float, unused: float | None
) -> dict[Name, str]:
    """Give the artifacts that may go, each with the reason.

    Parts go that no other artifact names and that were not used for `grace` seconds. Where `unused` seconds are given,
    whole rooms go too that no version `needed` and that were not used for so long, and with them their parts. What an
    artifact that stays names stays.
    """
    going = {}
    if unused is not None:
        kept = _reached(artifacts, needed)
        oldest = now - max(unused, grace)
        going = {
            name: f"no version needs it and it was not used for {unused / 86_400:g} days"
            for name, one in artifacts.items()
            if name[0] not in (*PARTS, _PAID) and name not in kept and one.used < oldest
        }
    held = _reached(artifacts, [name for name in artifacts if name[0] not in PARTS and name not in going])
    for name, one in artifacts.items():
        if name[0] in PARTS and name not in held and one.used < now - grace:
            going[name] = "no artifact names it"
    # A room that is named by one that stays has not been asked away.
    return {name: why for name, why in going.items() if name not in held}


def pinned(root: Path, artifacts: Mapping[Name, Artifact]) -> set[Name]:
    """Give what datasets have pinned in the store at `root`, by name or content, and all that could be meant.

    A pin of an encoder names what it was fitted on. Where anything is pinned, all encoders and statistics count.
    """
    lines = {path.read_text().strip() for path in (root / "pins").rglob("*") if path.is_file() and path.name[0] != "."}
    lines.discard("")
    return {
        name
        for name, one in artifacts.items()
        if lines and (name[0] in _PINNED or name[1] in lines or one.content in lines)
    }


def abandoned(root: Path, now: float, grace: float) -> Iterator[Path]:
    """Give the staging folders below `root` that nobody has touched for `grace` seconds."""
    staging = root / "staging"
    for folder in sorted(staging.iterdir()) if staging.is_dir() else []:
        if max(path.lstat().st_mtime for path in (folder, *folder.rglob("*"))) < now - grace:
            yield folder


def _reached(artifacts: Mapping[Name, Artifact], roots: Iterable[Name]) -> set[Name]:
    """Give `roots` and all that they name, and what that names, as far as it is there."""
    by_fingerprint: dict[str, list[Name]] = {}
    for name in artifacts:
        by_fingerprint.setdefault(name[1], []).append(name)
    found: set[Name] = set()
    waiting = [name for name in roots if name in artifacts]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for one in artifacts[name].named for other in by_fingerprint.get(one, [])]
    return found


def _named(value: object) -> Iterator[str]:
    """Give whatever in `value` could be the fingerprint of an artifact."""
    if isinstance(value, str):
        yield from _FINGERPRINT.findall(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(key)
            yield from _named(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named(inner)
