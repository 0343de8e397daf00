"""Content-addressed artifacts in a local folder: a folder each, its manifest written last.

An artifact is `<root>/<kind>/<fingerprint>/`. It is built in `<root>/staging/`, flushed to disk and renamed,
so that a folder under its final name is whole. No manifest, no artifact. Two writers of one artifact write the
same rows: the first rename wins, the second drops its copy.
"""

import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from negset.artifact import ArtifactManifest, SharedArtifacts, StoredFile
from negset.errors import ArtifactError, ConflictError, EnvironmentFault
from negset.fingerprint import canonical_json, file_digest
from schemas.refs import Ref

MANIFEST = "manifest.json"
ABANDONED_AFTER = 3 * 86_400
"""Seconds after which a staging folder is taken for one that a killed process left."""

RefT = TypeVar("RefT", bound=Ref)


class Store:
    """A folder of artifacts: all there are, or those of the `shared` ones that this machine has used."""

    def __init__(self, root: Path, shared: SharedArtifacts | None = None) -> None:
        self.root = root
        self.shared = shared

    def folder(self, kind: str, fingerprint: str) -> Path:
        """Give the place of an artifact, whether it exists or not."""
        return self.root / kind / fingerprint

    def find(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        """Give the manifest of an artifact whose files all have their recorded sizes, else None.

        Of one that is shared and not here, no file is brought yet. One that is here and not shared is shared.
        """
        found = self._found_here(kind, fingerprint)
        if self.shared is None:
            return found
        return self.shared.lately(kind, fingerprint) if found is None else self._share(found, self.shared)

    def _found_here(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        folder = self.folder(kind, fingerprint)
        try:
            manifest = ArtifactManifest.model_validate_json((folder / MANIFEST).read_bytes())
            mark_used(folder / MANIFEST)
            whole = all((folder / file.path).stat().st_size == file.bytes for file in manifest.files)
        except (OSError, ValueError):
            return None
        return manifest if whole else None

    def open(self, kind: str, fingerprint: str) -> Path:
        """Give the folder of an artifact after checking each of its files against its digest.

        One that is shared and missing or damaged here is brought anew.
        Raises ArtifactError naming the file that is missing or differs, and how to mend it.
        """
        folder = self.held(kind, fingerprint)
        try:
            self._check(kind, fingerprint)
        except ArtifactError:
            if self.shared is None or self.shared.manifest(kind, fingerprint) is None:
                raise
            self.drop(kind, fingerprint)
            self.held(kind, fingerprint)
            self._check(kind, fingerprint)
        return folder

    def held(self, kind: str, fingerprint: str) -> Path:
        """Give the folder of an artifact, brought here first where it is shared and not here; unchecked."""
        folder = self.folder(kind, fingerprint)
        if self.shared is not None and not (folder / MANIFEST).exists():
            manifest = self.shared.manifest(kind, fingerprint)
            if manifest is not None:
                self._bring(manifest, self.shared)
        return folder

    def names(self, kind: str, prefix: str = "") -> list[str]:
        """List the fingerprints, here or shared, that start with `prefix`; `find` says which of them are whole."""
        here = {folder.name for folder in (self.root / kind).glob(f"{prefix}*") if not folder.name.startswith(".")}
        return sorted(here | set(self.shared.names(kind, prefix) if self.shared is not None else ()))

    def drop(self, kind: str, fingerprint: str) -> None:
        """Remove an artifact from this folder, if it is here; what is shared stays."""
        folder = self.folder(kind, fingerprint)
        if folder.exists():
            discard(folder)

    def _check(self, kind: str, fingerprint: str) -> None:
        folder = self.folder(kind, fingerprint)
        for file in self._read_manifest(kind, fingerprint).files:
            check_file(folder / file.path, file.bytes, file.sha256)

    def manifest(self, kind: str, fingerprint: str) -> ArtifactManifest:
        """Give the manifest of an artifact, here or shared; raise ArtifactError where there is none."""
        if self.shared is not None and not (self.folder(kind, fingerprint) / MANIFEST).exists():
            found = self.shared.manifest(kind, fingerprint)
            if found is not None:
                return found
        return self._read_manifest(kind, fingerprint)

    def _read_manifest(self, kind: str, fingerprint: str) -> ArtifactManifest:
        path = self.folder(kind, fingerprint) / MANIFEST
        try:
            manifest = ArtifactManifest.model_validate_json(path.read_bytes())
            mark_used(path)
            return manifest
        except (OSError, ValueError) as error:
            message = f"no {kind} {fingerprint[:16]} in {self.root}: {error}. Build it again"
            raise ArtifactError(message) from error

    def staging(self) -> AbstractContextManager[Path]:
        """Give an empty folder on the store's own file system; what is left in it is removed."""
        return staged_folder(self.root)

    def commit(
        self,
        ref: type[RefT],
        fingerprint: str,
        content: str,
        rows: int,
        staged: Path,
        facts: dict[str, object] | None = None,
    ) -> RefT:
        """Turn the `staged` folder into the artifact that a `ref` of this `fingerprint` names.

        A damaged artifact under the same name (a file cut or missing) is replaced. Where another machine has shared
        the same artifact first, its files and its content count.
        """
        manifest = ArtifactManifest(
            kind=ref.kind,
            fingerprint=fingerprint,
            content=content,
            rows=rows,
            files=stored_files(staged),
            facts=facts or {},
        )
        write_durably(staged / MANIFEST, canonical_json(manifest.model_dump()).encode())
        target = self.folder(ref.kind, fingerprint)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not self._sound(ref.kind, fingerprint):
            discard(target)
        rename_folder(staged, target)
        if self.shared is not None:
            made = self._read_manifest(ref.kind, fingerprint)
            self._mark(made).unlink(missing_ok=True)
            kept = self._share(made, self.shared)
            return ref(fingerprint=fingerprint, content=kept.content, rows=kept.rows)
        return ref(fingerprint=fingerprint, content=content, rows=rows)

    def ref(self, ref: type[RefT], fingerprint: str) -> RefT | None:
        """Give a reference to an artifact that is there and whole, else None."""
        found = self.find(ref.kind, fingerprint)
        return None if found is None else ref(fingerprint=fingerprint, content=found.content, rows=found.rows)

    def _sound(self, kind: str, fingerprint: str) -> bool:
        try:
            self._check(kind, fingerprint)
        except ArtifactError:
            return False
        return True

    def _share(self, manifest: ArtifactManifest, shared: SharedArtifacts) -> ArtifactManifest:
        """Share what is here unless that was done; where another machine was first, take its files instead."""
        kept = manifest
        if not self._mark(manifest).exists():
            kept = shared.share(manifest, self.folder(manifest.kind, manifest.fingerprint))
            if kept != manifest:
                discard(self.folder(manifest.kind, manifest.fingerprint))
                self._bring(kept, shared)
            self._set_mark(kept)
        return kept

    def _bring(self, manifest: ArtifactManifest, shared: SharedArtifacts) -> None:
        target = self.folder(manifest.kind, manifest.fingerprint)
        make_folder(target.parent)
        with self.staging() as staged:
            shared.fetch(manifest, staged)
            for file in manifest.files:
                flush(staged / file.path)
            write_durably(staged / MANIFEST, canonical_json(manifest.model_dump()).encode())
            rename_folder(staged, target)
        self._set_mark(manifest)

    def _mark(self, manifest: ArtifactManifest) -> Path:
        """Give the file that says that an artifact of this folder is shared: what is here needs no question then."""
        return self.root / "marks" / manifest.kind / manifest.fingerprint

    def _set_mark(self, manifest: ArtifactManifest) -> None:
        path = self._mark(manifest)
        make_folder(path.parent)
        path.touch()


def mark_used(path: Path) -> None:
    """Say that the artifact whose manifest is at `path` was used now: by the time of the file's last change.

    That of its last access would not do: whoever lists or backs up the store changes it.
    """
    with suppress(OSError):  # a store that cannot be written to is not cleaned up either
        os.utime(path)


@contextmanager
def staged_folder(root: Path) -> Iterator[Path]:
    """Give an empty folder below `root`/staging; what is left in it is removed, and what a kill left there long ago."""
    folder = root / "staging" / uuid.uuid4().hex
    make_folder(folder)
    _clear_abandoned(folder.parent)
    try:
        yield folder
    except OSError as error:
        raise storage_fault(error, folder) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing; raise EnvironmentFault where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(error, folder) from error


def _clear_abandoned(staging: Path) -> None:
    oldest = time.time() - ABANDONED_AFTER
    with suppress(OSError):  # somebody else may be clearing too
        for folder in staging.iterdir():
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def stored_files(folder: Path) -> list[StoredFile]:
    """List the files below `folder` by path, with size and digest, and flush each to disk."""
    files = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        flush(path)
        files.append(
            StoredFile(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=file_digest(path))
        )
    return files


def check_file(path: Path, size: int, sha256: str) -> None:
    """Raise ArtifactError unless the file at `path` has this `size` and digest."""
    try:
        found = path.stat().st_size
        digest = file_digest(path) if found == size else ""
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}. Delete its folder and build again"
        raise ArtifactError(message) from error
    if found != size:
        message = f"{path} has {found} bytes, its manifest says {size}. Delete its folder and build again"
        raise ArtifactError(message)
    if digest != sha256:
        message = f"{path} has sha256 {digest}, its manifest says {sha256}. Delete its folder and build again"
        raise ArtifactError(message)


def flush(path: Path) -> None:
    """Force the file or folder at `path` to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Write `data` to `path` by a temporary file that is flushed and renamed: `path` is old or new, never half."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_fault(error, path) from error


def rename_folder(staged: Path, target: Path) -> bool:
    """Rename `staged` to `target` durably; where `target` exists already, leave it and give False."""
    for folder in {path.parent for path in staged.rglob("*")} | {staged}:
        flush(folder)
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise storage_fault(error, target) from error
    flush(target.parent)
    return True


def discard(folder: Path) -> None:
    """Remove `folder` in two steps, so that a reader sees it whole or not at all."""
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; the kernel frees it when its holder dies, however it dies."""
    make_folder(path.parent)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def swap(pointer: Path, expected: str | None, new: str) -> None:
    """Set the one-line file `pointer` from `expected` (None: absent) to `new`; the caller holds its lock.

    Raises ConflictError where `pointer` holds something else.
    """
    found = pointer.read_text().strip() if pointer.exists() else None
    if found != expected:
        message = f"{pointer} says {found}, expected {expected}: somebody else published; run again"
        raise ConflictError(message)
    write_durably(pointer, f"{new}\n".encode())


def storage_fault(error: OSError, path: Path) -> EnvironmentFault:
    """Turn an OSError met at `path` into an error that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(path.parent if path.parent.exists() else Path("/")).free
        return EnvironmentFault(
            f"disk full writing {path} ({free / 1e6:.0f} MB free); nothing was published. Free space, run again"
        )
    return EnvironmentFault(f"cannot write {path}: {error.strerror or error}")


def read_json(path: Path) -> dict[str, object]:
    """Read the JSON object at `path`; raise ArtifactError where it is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}"
        raise ArtifactError(message) from error
    if not isinstance(value, dict):
        message = f"{path} holds no JSON object"
        raise ArtifactError(message)
    return value
