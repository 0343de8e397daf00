"""Objects in a bucket of S3 or of any store with conditional writes, by obstore.

Every write is one conditional PUT: create only if absent, or replace only this ETag. One PUT is whole or absent, so
no upload can be left half done. Retries are ours, not obstore's: what a lost answer means must be decided by reading
back, and its own retries would report our own object as somebody else's.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions

from negset.errors import (
    AccessError,
    ArtifactError,
    ConflictError,
    EnvironmentFault,
    MissingObjectError,
    TransientError,
)
from negset.fingerprint import file_digest
from negset.objects.objects import Listed, check_key
from negset.objects.patience import Patience, persist

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

MOST_BYTES = 5 * 1024**3
"""What S3 takes in one PUT."""
_BULK = 8 * 1024**2
"""Bytes from which a transfer has the long timeout."""
_BLOCK = 1024**2
_SLOWEST = 1e6
"""Bytes a second that a transfer is given time for."""
_DIGEST = "sha256"
"""The metadata that says what was written, so that reading back costs no transfer."""
_METADATA = "169.254.169.254"
"""Where a machine of a cloud is asked for its role, when nothing else gives credentials."""
_STATUS = re.compile(r"status code: (\d{3})")
_MAY_PASS = {408, 409, 425, 429}
"""Answers below 500 that another attempt may change."""


@dataclass(frozen=True)
class BucketObjects:
    """The objects of a bucket below a prefix. `quick` and `bulk` are one store with a short and a long timeout."""

    url: str
    quick: "ObjectStore"
    bulk: "ObjectStore"
    patience: Patience

    def put_once(self, key: str, data: bytes | Path) -> None:
        """Store `data` under `key`; see Objects."""
        check_key(key)
        size, digest = _measured(data)
        if size > MOST_BYTES:
            message = f"{self.url}/{key}: {size} bytes, more than the {MOST_BYTES} of one PUT; publish smaller parts"
            raise EnvironmentFault(message)
        client: Any = self._client(size)

        def attempt() -> None:
            if size >= _BULK and self._there(key, size) == (size, digest):
                return  # asking costs less than sending it to be refused
            try:
                with self._said(key):
                    obstore.put(client, key, data, mode="create", attributes={_DIGEST: digest}, use_multipart=False)
            except _Refused as error:
                self._read_back(key, size, digest, error)

        self._persist(attempt, f"put {key}", size)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        """Give the bytes under `key`; see Objects."""
        check_key(key)

        def attempt() -> bytes:
            with self._said(key):
                return bytes(obstore.get(self.quick, key).bytes())

        data = self._persist(attempt, f"get {key}")
        if sha256 is not None:
            self._require(key, hashlib.sha256(data).hexdigest(), sha256)
        return data

    def fetch(self, key: str, target: Path, size: int, sha256: str) -> None:
        """Write the bytes under `key` to `target`; see Objects."""
        check_key(key)
        client: Any = self._client(size)

        def attempt() -> str:
            digest = hashlib.sha256()
            with target.open("wb") as file, self._said(key):
                for block in obstore.get(client, key).stream(min_chunk_size=_BLOCK):
                    file.write(block)
                    digest.update(block)
            return digest.hexdigest()

        self._require(key, self._persist(attempt, f"get {key}", size), sha256)

    def swap(self, pointer: str, expected: str | None, new: str) -> None:
        """Set the text under `pointer`; see Objects."""
        check_key(pointer)

        def attempt() -> None:
            found, version = self._pointed(pointer)
            if found == new:
                return
            if found != expected:
                message = f"{self.url}/{pointer} says {found!r}, expected {expected!r}: somebody else wrote it"
                raise ConflictError(message)
            mode: Any = "create" if found is None else version
            try:
                with self._said(pointer):
                    obstore.put(self.quick, pointer, new.encode(), mode=mode, use_multipart=False)
            except _Refused as error:  # the next attempt reads what is there now, and decides by it
                raise TransientError(str(error)) from error

        self._persist(attempt, f"swap {pointer}")

    def read(self, pointer: str) -> str | None:
        """Give the text under `pointer`; see Objects."""
        check_key(pointer)
        return self._persist(lambda: self._pointed(pointer)[0], f"read {pointer}")

    def listed(self, prefix: str = "") -> list[Listed]:
        """Give the objects below `prefix`; see Objects."""
        if prefix:
            check_key(prefix)

        def attempt() -> list[Listed]:
            with self._said(prefix):
                found = obstore.list(self.quick, prefix=prefix or None).collect()
            return [Listed(one["path"], one["size"], one["last_modified"]) for one in found]

        return sorted(self._persist(attempt, f"list {prefix}"), key=lambda one: one.key)

    def delete(self, key: str) -> None:
        """Remove the object under `key`; see Objects."""
        check_key(key)

        def attempt() -> None:
            try:
                with self._said(key):
                    obstore.delete(self.quick, key)
            except MissingObjectError:
                return

        self._persist(attempt, f"delete {key}")

    def _persist(self, attempt: Callable[[], T], what: str, size: int = 0) -> T:
        patience = replace(self.patience, deadline=self.patience.deadline + size / _SLOWEST)
        return persist(attempt, f"{self.url}: {what}", patience)

    def _client(self, size: int) -> "ObjectStore":
        return self.bulk if size >= _BULK else self.quick

    def _pointed(self, pointer: str) -> tuple[str | None, dict[str, str]]:
        """Give the text under `pointer` and the version that a conditional write names."""
        try:
            with self._said(pointer):
                found = obstore.get(self.quick, pointer)
                text = bytes(found.bytes()).decode()
        except MissingObjectError:
            return None, {}
        known = {"e_tag": found.meta["e_tag"], "version": found.meta["version"]}
        return text, {name: value for name, value in known.items() if value is not None}

    def _there(self, key: str, size: int) -> tuple[int, str | None] | None:
        """Give the size and the digest of what is under `key`, None for nothing; no digest for another `size`."""
        try:
            with self._said(key):
                there = obstore.get(self.quick, key, options={"head": True})
                found = there.attributes.get(_DIGEST)
                if found is None and there.meta["size"] == size:
                    found = hashlib.sha256(bytes(obstore.get(self.bulk, key).bytes())).hexdigest()
        except MissingObjectError:
            return None
        return there.meta["size"], found

    def _read_back(self, key: str, size: int, digest: str, refused: Exception) -> None:
        """Decide what it means that `key` is taken: ours, somebody else's, or (409, removed since) nobody's."""
        there = self._there(key, size)
        if there is None:
            raise TransientError(str(refused)) from refused
        if there != (size, digest):
            message = f"{self.url}/{key} exists with other bytes: somebody else wrote it first"
            raise ConflictError(message) from refused

    def _require(self, key: str, found: str, sha256: str) -> None:
        if found != sha256:
            message = f"{self.url}/{key} has sha256 {found}, not {sha256}: it is damaged"
            raise ArtifactError(message)

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        """Turn what obstore raises about `key` into errors that say who can mend it."""
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise _Refused(_first_line(error)) from None
        except FileNotFoundError as error:
            raise self._missing(key, error) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            message = f"{self.url} refuses {key}: {_first_line(error)}. Check the credentials and their rights"
            raise AccessError(message) from None
        except (exceptions.BaseError, TimeoutError, ConnectionError) as error:
            raise self._fault(key, error) from None

    def _missing(self, key: str, error: Exception) -> EnvironmentFault:
        if "NoSuchBucket" in str(error):
            message = f"{self.url}: there is no such bucket. Make it, or mend the address"
            return AccessError(message)
        return MissingObjectError(f"nothing at {self.url}/{key}")

    def _fault(self, key: str, error: Exception) -> EnvironmentFault:
        status = _STATUS.search(str(error))
        if status and int(status[1]) < 500 and int(status[1]) not in _MAY_PASS:
            return EnvironmentFault(f"{self.url}/{key}: {_first_line(error)}")
        if _METADATA in str(error):
            hint = "found no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
            return TransientError(f"{hint} ({_first_line(error)})")
        return TransientError(_first_line(error))


class _Refused(Exception):  # noqa: N818 - an answer, not a malfunction
    """The condition of a write did not hold."""


def _measured(data: bytes | Path) -> tuple[int, str]:
    if isinstance(data, Path):
        return data.stat().st_size, file_digest(data)
    return len(data), hashlib.sha256(data).hexdigest()


def _first_line(error: Exception) -> str:
    """Say what `error` says in a line, without the query of an address, which may hold a signature or a token."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\?\S+", "", line)[:300]
