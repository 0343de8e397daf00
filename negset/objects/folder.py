"""Objects in a folder that several machines may share: the same promises as a bucket, by links and a lock."""

import os
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256 as sha256_of
from pathlib import Path

from negset.errors import ArtifactError, ConflictError, MissingObjectError
from negset.fingerprint import file_digest
from negset.objects.objects import HIDDEN, Listed, check_key
from negset.store import flush, locked, make_folder, storage_fault


@dataclass(frozen=True)
class FolderObjects:
    """The files below `root`, but for the hidden ones."""

    root: Path

    @property
    def url(self) -> str:
        """Say where the keys are."""
        return self.root.absolute().as_uri()

    def put_once(self, key: str, data: bytes | Path) -> None:
        """Store `data` under `key`; see Objects. A link fails where its name is taken, so the first one wins."""
        target = self._path(key)
        make_folder(target.parent)
        temporary = target.with_name(f"{HIDDEN}{uuid.uuid4().hex}")
        try:
            _copy(data, temporary)
            flush(temporary)
            os.link(temporary, target)
        except FileExistsError as error:
            if file_digest(target) != file_digest(temporary):
                message = f"{target} exists with other bytes: somebody else wrote it first"
                raise ConflictError(message) from error
        except OSError as error:
            raise storage_fault(error, target) from error
        finally:
            temporary.unlink(missing_ok=True)
        self._flush_folders(target.parent)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        """Give the bytes under `key`; see Objects."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            message = f"nothing at {path}"
            raise MissingObjectError(message) from error
        except OSError as error:
            raise storage_fault(error, path) from error
        if sha256 is not None and (found := sha256_of(data).hexdigest()) != sha256:
            message = f"{path} has sha256 {found}, not {sha256}: it is damaged"
            raise ArtifactError(message)
        return data

    def fetch(self, key: str, target: Path, size: int, sha256: str) -> None:
        """Write the bytes under `key` to `target`; see Objects."""
        path = self._path(key)
        if not path.is_file():
            message = f"nothing at {path}"
            raise MissingObjectError(message)
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            raise storage_fault(error, target) from error
        if (found := file_digest(target)) != sha256:
            message = f"{path} has sha256 {found}, not {sha256}: it is damaged"
            raise ArtifactError(message)

    def swap(self, pointer: str, expected: str | None, new: str) -> None:
        """Set the text under `pointer`; see Objects."""
        path = self._path(pointer)
        with locked(self.root / f"{HIDDEN}lock"):
            found = self.read(pointer)
            if found == new:
                return
            if found != expected:
                message = f"{path} says {found!r}, expected {expected!r}: somebody else wrote it"
                raise ConflictError(message)
            make_folder(path.parent)
            temporary = path.with_name(f"{HIDDEN}{uuid.uuid4().hex}")
            try:
                temporary.write_bytes(new.encode())
                flush(temporary)
                temporary.replace(path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise storage_fault(error, path) from error
            self._flush_folders(path.parent)

    def read(self, pointer: str) -> str | None:
        """Give the text under `pointer`; see Objects."""
        try:
            return self.get(pointer).decode()
        except MissingObjectError:
            return None

    def listed(self, prefix: str = "") -> list[Listed]:
        """Give the objects below `prefix`; see Objects."""
        folder = self._path(prefix) if prefix else self.root
        found = []
        for path in folder.rglob("*"):
            inside = path.relative_to(self.root)
            if path.is_file() and not inside.name.startswith(HIDDEN):
                facts = path.stat()
                written = datetime.fromtimestamp(facts.st_mtime, UTC)
                found.append(Listed(inside.as_posix(), facts.st_size, written))
        return sorted(found, key=lambda one: one.key)

    def delete(self, key: str) -> None:
        """Remove the object under `key`; see Objects."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _flush_folders(self, folder: Path) -> None:
        """Make the names that lead from the root to `folder` durable: any of its folders may be new."""
        while folder != self.root:
            flush(folder)
            folder = folder.parent
        flush(folder)


def _copy(data: bytes | Path, target: Path) -> None:
    if isinstance(data, Path):
        shutil.copyfile(data, target)
    else:
        target.write_bytes(data)
