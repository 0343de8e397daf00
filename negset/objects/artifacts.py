"""Finished artifacts in an object store, for several machines.

    <address>/<kind>/<fingerprint>.json     the artifact's manifest and the pieces of its files, put last and once
    <address>/pieces/<sha256>               what files are made of, 16 MiB at most, under their own digest
    <address>/pins/...                      what a dataset keeps under a label, a line each, put once

Two machines that make one artifact may write other bytes for the same rows. Pieces have keys of their own digest, so
that nothing can clash but the last object: who puts it first has made the artifact, and the other takes it over.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from negset.artifact import ArtifactManifest, StoredFile
from negset.errors import ArtifactError, ConflictError, MissingObjectError
from negset.fingerprint import canonical_json, file_digest
from negset.objects.objects import Objects
from negset.store import make_folder

T = TypeVar("T")

PIECE = 16 * 1024**2
"""Bytes of a piece: few enough that its transfer ends within the time of one request."""
_PIECES = "pieces"
_LATELY = 10.0
"""Seconds for which a list of a kind is believed where it says that something is not there."""
_AT_ONCE = 4


class ArtifactRecord(BaseModel):
    """An artifact in an object store: its manifest, and for each file the digests of its pieces in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: ArtifactManifest
    pieces: dict[str, list[str]]


@dataclass(frozen=True)
class ObjectArtifacts:
    """The artifacts in `objects`. Of each kind, what was `listed` last is kept for some seconds."""

    objects: Objects
    listed: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)

    def manifest(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        """Give the manifest of a shared artifact, None where it is not shared."""
        record = self._record(kind, fingerprint)
        return None if record is None else record.manifest

    def lately(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        """As `manifest`, but what was shared in the last seconds may be missed.

        A new build asks for each of its cells and finds none: one list of the kind answers them all. What is missed
        is made again, and sharing it gives what was there.
        """
        then, names = self.listed.get(kind, (float("-inf"), frozenset()))
        if time.monotonic() - then > _LATELY:
            names = frozenset(self.names(kind, ""))
        return self.manifest(kind, fingerprint) if fingerprint in names else None

    def names(self, kind: str, prefix: str) -> list[str]:
        """List the fingerprints of the shared artifacts of `kind` that start with `prefix`."""
        now = time.monotonic()
        names = [one.key.removeprefix(f"{kind}/").removesuffix(".json") for one in self.objects.listed(kind)]
        self.listed[kind] = now, frozenset(names)
        return [name for name in names if name.startswith(prefix)]

    def share(self, manifest: ArtifactManifest, folder: Path) -> ArtifactManifest:
        """Share the artifact in `folder`; give the manifest of what is shared now, another machine's if it was first.

        Raises ArtifactError where a file in `folder` is not as its manifest says: it is not shared.
        """
        there = self._record(manifest.kind, manifest.fingerprint)
        if there is None:
            pieces = {file.path: self._put_file(folder / file.path, file) for file in manifest.files}
            record = ArtifactRecord(manifest=manifest, pieces=pieces)
            key = _key(manifest.kind, manifest.fingerprint)
            try:
                self.objects.put_once(key, canonical_json(record.model_dump()).encode())
            except ConflictError:
                there = self._record(manifest.kind, manifest.fingerprint)
        return manifest if there is None else there.manifest

    def fetch(self, manifest: ArtifactManifest, folder: Path) -> None:
        """Write the files of a shared artifact into the empty `folder`, each checked against its digest.

        Raises ArtifactError naming the file that is missing or damaged in the store.
        """
        record = self._record(manifest.kind, manifest.fingerprint)
        if record is None:
            message = f"nothing at {self.objects.url}/{_key(manifest.kind, manifest.fingerprint)}"
            raise MissingObjectError(message)
        for file in manifest.files:
            target = folder / file.path
            if not target.resolve().is_relative_to(folder.resolve()):
                message = f"{self.objects.url}/{_key(manifest.kind, manifest.fingerprint)} names {file.path!r}"
                raise ArtifactError(message)
            make_folder(target.parent)
            with target.open("wb") as out:
                gets = [partial(self.objects.get, f"{_PIECES}/{piece}", piece) for piece in record.pieces[file.path]]
                for data in _a_few_ahead(gets):
                    out.write(data)
            if (target.stat().st_size, file_digest(target)) != (file.bytes, file.sha256):
                message = f"{self.objects.url}: the pieces of {file.path} are not the file that its manifest names"
                raise ArtifactError(message)

    def pinned(self, key: str) -> str | None:
        """Give the line that is kept under `key`, None where there is none."""
        line = self.objects.read(f"pins/{key}")
        return None if line is None else line.strip()

    def pin(self, key: str, value: str) -> str:
        """Keep the line `value` under `key` unless one is there; give the one that is."""
        try:
            self.objects.put_once(f"pins/{key}", f"{value}\n".encode())
        except ConflictError:
            return self.objects.get(f"pins/{key}").decode().strip()
        return value

    def _record(self, kind: str, fingerprint: str) -> ArtifactRecord | None:
        key = _key(kind, fingerprint)
        try:
            return ArtifactRecord.model_validate_json(self.objects.get(key))
        except MissingObjectError:
            return None
        except ValueError as error:
            message = f"{self.objects.url}/{key} is no artifact that this version of negset reads: {error}"
            raise ArtifactError(message) from error

    def _put_file(self, path: Path, file: StoredFile) -> list[str]:
        digests, whole = [], hashlib.sha256()
        for data in _cut(path):
            whole.update(data)
            digests.append(hashlib.sha256(data).hexdigest())
            self.objects.put_once(f"{_PIECES}/{digests[-1]}", data)
        if whole.hexdigest() != file.sha256:
            message = f"{path} has sha256 {whole.hexdigest()}, its manifest says {file.sha256}. Delete its folder"
            raise ArtifactError(message)
        return digests


def _key(kind: str, fingerprint: str) -> str:
    return f"{kind}/{fingerprint}.json"


def _cut(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(PIECE):
            yield data


def _a_few_ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Give what `calls` give, in their order, while the next few run."""
    waiting = list(calls)
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for start in range(0, len(waiting), _AT_ONCE):
            yield from workers.map(lambda call: call(), waiting[start : start + _AT_ONCE])
