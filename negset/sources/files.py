"""Files of a source, wherever they lie: a local folder or any URL that fsspec knows."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, Protocol, cast

import fsspec
from fsspec.core import url_to_fs

from negset.errors import ConfigError, EnvironmentFault, InputError, NoDataError, TransientError, hint, listed

BLOCK = 1 << 20
MAX_RATIO = 100
"""Bytes that one compressed byte may become. Text packs 3 to 30 to 1; 200 MiB of zeros pack 1,000 to 1."""
RATIO_FROM = 16 << 20
"""Bytes of output from which on the ratio is watched: a small file harms nobody."""
_SUFFIXES = (".gz", ".tgz")


class Readable(Protocol):
    """Anything that gives bytes when read."""

    def read(self, size: int = -1, /) -> bytes:
        """Give up to `size` bytes, none at the end."""


@dataclass(frozen=True)
class Place:
    """A folder of source files: `names` are paths below it, sorted. A single file is a folder of one name."""

    fs: fsspec.AbstractFileSystem
    root: str
    shown: str
    names: tuple[str, ...]

    def full(self, name: str) -> str:
        """Give the path of the file `name` as its file system wants it."""
        return f"{self.root}/{name}"


def find_place(path: str) -> Place:
    """Open the folder or file at `path` and list it, hidden files left out.

    Raises InputError where there is nothing, ConfigError where no file system knows the URL.
    """
    if not path:
        message = "source.path is empty; give the folder or file to read"
        raise ConfigError(message)
    shown = without_credentials(path)
    try:
        fs, root = url_to_fs(path)
    except (ValueError, ImportError) as error:
        message = f"cannot open source.path {shown!r}: {error}"
        raise ConfigError(message) from error
    root = root.rstrip("/")
    with _translated(fs, shown):
        if fs.isfile(root):
            parent, _, name = root.rpartition("/")
            return Place(fs, parent, shown.rpartition("/")[0] or ".", (name,))
        if not fs.isdir(root):
            message = f"source.path {shown!r} does not exist"
            raise NoDataError(message)
        names = sorted(found.removeprefix(root).lstrip("/") for found in fs.find(root))
    visible = tuple(name for name in names if not any(part.startswith(".") for part in name.split("/")))
    return Place(fs, root, shown.rstrip("/"), visible)


def without_credentials(path: str) -> str:
    """Strip user, password and query from a URL, so that it may be shown."""
    return re.sub(r"^([a-z0-9+]+://)[^/@]*@", r"\1", path).split("?")[0] if "://" in path else path


def pick(place: Place, given: str, usual: Iterable[str], what: str) -> list[str]:
    """Name the files that hold `what`: those `given` by the config (globs, separated by commas), else the `usual`.

    Raises InputError listing what was looked for and what is there.
    """
    patterns = [part.strip() for part in given.split(",") if part.strip()] or list(usual)
    found = [name for name in place.names if any(fnmatchcase(name, pattern) for pattern in patterns)]
    missing = [p for p in patterns if given and not any(fnmatchcase(name, p) for name in place.names)]
    if missing or not found:
        wanted = " or ".join(missing or patterns)
        message = f"no {what} in {place.shown}: looked for {wanted}{hint(wanted, place.names)}; found {_some(place)}"
        raise NoDataError(message)
    return found


def pick_one(place: Place, given: str, usual: Iterable[str], what: str) -> str:
    """Name the one file that holds `what`; raise InputError where there are several."""
    found = pick(place, given, usual, what)
    if len(found) > 1:
        message = f"several files in {place.shown} may hold {what}: {listed(found)}. Name one as source.{what}"
        raise InputError(message)
    return found[0]


def _some(place: Place) -> str:
    return listed(place.names, 12) or "no file"


@contextmanager
def open_bytes(place: Place, name: str) -> Iterator[Readable]:
    """Open the file `name` for reading; a gzip file is decompressed, all of its members.

    Raises InputError naming the file where it is missing, cut, damaged or a decompression bomb.
    """
    shown = f"{place.shown}/{name}"
    with _translated(place.fs, shown), place.fs.open(place.full(name), "rb") as raw:
        yield Gunzip(raw, shown) if name.endswith(_SUFFIXES) else raw


def read_whole(place: Place, name: str, most: int = 1 << 30) -> bytes:
    """Read a whole file; raise InputError where it is longer than `most` bytes."""
    with open_bytes(place, name) as stream:
        return read_capped(stream, f"{place.shown}/{name}", most)


def read_capped(stream: Readable, shown: str, most: int) -> bytes:
    """Read `stream` to its end; raise InputError where it is longer than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    while block := stream.read(BLOCK):
        parts.append(block)
        size += len(block)
        if size > most:
            message = f"{shown} is longer than {most >> 20} MiB, the most that one file of this format may be"
            raise InputError(message)
    return b"".join(parts)


def digests(place: Place, names: Iterable[str]) -> dict[str, str]:
    """Hash the stored bytes of each of the files `names`."""
    found = {}
    for name in names:
        digest = hashlib.sha256()
        with _translated(place.fs, f"{place.shown}/{name}"), place.fs.open(place.full(name), "rb") as raw:
            while block := raw.read(BLOCK):
                digest.update(block)
        found[name] = digest.hexdigest()
    return found


class Gunzip:
    """Decompress a gzip stream, watching how much comes out of how little."""

    def __init__(self, raw: Readable, shown: str) -> None:
        self._taken = _Counted(raw)
        self._file = gzip.GzipFile(fileobj=cast("BinaryIO", self._taken), mode="rb")
        self._shown = shown
        self._given = 0

    def read(self, size: int = -1, /) -> bytes:
        """Give up to `size` decompressed bytes; raise InputError where the stream is cut, damaged or a bomb."""
        try:
            block = self._file.read(BLOCK if size < 0 else size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = (
                f"{self._shown} is no whole gzip file: {error} (after {self._given} bytes of content). "
                f"Fetch it again; nothing of it was used"
            )
            raise InputError(message) from error
        self._given += len(block)
        if self._given > RATIO_FROM and self._given > MAX_RATIO * self._taken.count:
            message = (
                f"{self._shown} grows more than {MAX_RATIO} times when decompressed ({self._taken.count} to "
                f"{self._given} bytes so far): refused as a decompression bomb. Decompress it yourself if it is none"
            )
            raise InputError(message)
        return block


class _Counted:
    """A stream that counts the bytes read from it."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        block = self._raw.read(size)
        self.count += len(block)
        return block


@contextmanager
def _translated(fs: fsspec.AbstractFileSystem, shown: str) -> Iterator[None]:
    """Turn what a file system raises into an error that says whose it is."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        message = f"{shown} cannot be read: {error.strerror or 'no such file'}"
        raise InputError(message) from error
    except PermissionError as error:
        message = f"{shown} may not be read: {error.strerror or error}. Check its permissions or the credentials"
        raise InputError(message) from error
    except OSError as error:
        if "file" in fs.protocol or "memory" in fs.protocol:
            message = f"{shown} cannot be read: {error.strerror or error}"
            raise EnvironmentFault(message) from error
        message = f"{shown} cannot be read now: {type(error).__name__}: {without_credentials(str(error))}"
        raise TransientError(message) from error
