"""What every object store does for negset: three primitives, and what cleaning up needs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from negset.errors import ConfigError

HIDDEN = ".negset-"
"""What the names of files that are no objects start with: half-written ones, and locks."""


@dataclass(frozen=True)
class Listed:
    """An object: its key, its size in bytes, and when the store says that it was written."""

    key: str
    bytes: int
    written_at: datetime


class Objects(Protocol):
    """Bytes under keys. A key is a relative path of parts joined by "/".

    Every method raises TransientError where the store did not answer within its deadline, AccessError where it
    refuses, EnvironmentFault for all else that the outside does wrong. A TransientError leaves open whether a write
    took place: call again with the same arguments, and never remove anything because of it.
    """

    @property
    def url(self) -> str:
        """Say where the keys are, without credentials."""
        ...

    def put_once(self, key: str, data: bytes | Path) -> None:
        """Store `data`, or the file at `data`, under `key`; an object that is there with the same bytes is left.

        Returns when the bytes are durable. Raises ConflictError where other bytes are under `key`; these stay.
        """
        ...

    def get(self, key: str, sha256: str | None = None) -> bytes:
        """Give the bytes under `key`, a small object: they are held in memory.

        Raises MissingObjectError where there are none, ArtifactError where their digest is not `sha256`.
        """
        ...

    def fetch(self, key: str, target: Path, size: int, sha256: str) -> None:
        """Write the `size` bytes under `key` to the file `target`, in blocks; raises as `get`."""
        ...

    def swap(self, pointer: str, expected: str | None, new: str) -> None:
        """Set the text under the key `pointer` from `expected` (None: absent) to `new`.

        Finding `new` there is success: it is how a swap whose answer was lost is recognised. So `new` must stand for
        one move, and must never have been there before. Raises ConflictError where something else is there.
        """
        ...

    def read(self, pointer: str) -> str | None:
        """Give the text under the key `pointer`, None where there is none."""
        ...

    def listed(self, prefix: str = "") -> list[Listed]:
        """Give the objects whose keys start with the folder `prefix`, by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object under `key`, if it is there. For cleaning up alone: nothing else removes objects."""
        ...


def check_key(key: str) -> str:
    """Give `key` back, or raise ConfigError where it could lead outside its store or to what is none of its objects."""
    parts = key.split("/")
    if not all(
        part not in ("", ".", "..") and part.isprintable() and "\\" not in part and not part.startswith(HIDDEN)
        for part in parts
    ):
        message = f"{key!r} is no key of an object: parts joined by '/', none empty, '.', '..' or {HIDDEN}..."
        raise ConfigError(message)
    return key
