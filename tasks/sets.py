"""Published sets of this machine and shared ones, by path or address."""

import getpass
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from negset.errors import ArtifactError, ConfigError
from negset.fingerprint import file_digest
from negset.objects.objects import Objects
from negset.objects.opening import is_address
from negset.publishing import tags
from negset.publishing.invariants import verify_version
from negset.publishing.line import Line, local_line, shared_line, version_before
from negset.publishing.moves import move_latest, read_moves, shared_latest
from negset.publishing.publish import HistoryEntry, point_to
from negset.publishing.reading import LATEST, VERSIONS
from negset.publishing.sharing import check_shared, fetch_version, follow
from negset.publishing.verify import VerifyReport
from negset.store import MANIFEST, staged_folder
from tasks.place import Place

_AT = re.compile(r"^(?P<set>.+)@(?P<version>[a-z0-9._-]+)$")
"""A set and, after the last @, one of its versions or tags."""


def bring_set(place: Place, dataset: str) -> None:
    """Make the working copy of `dataset` say what the shared sets say; nothing where sets are in a folder."""
    objects = place.shared_sets()
    if objects is not None:
        follow(objects, dataset, place.sets_folder() / dataset)


def bring_version(place: Place, dataset: str, identity: str) -> Path:
    """Give the folder of a version of `dataset`, brought here first where sets are shared."""
    home, objects = place.sets_folder() / dataset, place.shared_sets()
    return home / VERSIONS / identity if objects is None else fetch_version(objects, dataset, identity, home)


def local_set(where: str) -> Path:
    """Give the folder of the set or version at `where`: the path itself, or a checked copy of what an address names.

    An address is <store>/<set> for the latest version, <store>/<set>/versions/<id> for that one; path or address of a
    set may end in @<version or tag>. Raises ArtifactError where it names no set.
    """
    where = _with_version(where)
    if not is_address(where):
        return Path(where)
    store, dataset, identity = split_address(where)
    place = Place()
    objects, home = place.open_objects(store), place.copies_folder(store) / dataset
    return fetch_version(objects, dataset, identity or _required(follow(objects, dataset, home), where), home)


def verify_at(where: str) -> VerifyReport:
    """Check every file of the set or version at `where`, and what its rows promise.

    Of a shared one, those in the store are checked, not their copies here.

    Raises ArtifactError naming what is wrong.
    """
    where = _with_version(where)
    if not is_address(where):
        return verify_version(Path(where))
    store, dataset, identity = split_address(where)
    place = Place()
    objects = place.open_objects(store)
    identity = identity or _required(shared_latest(objects, dataset)[0], where)
    with staged_folder(place.copies_folder(store)) as scratch:
        return check_shared(objects, dataset, identity, scratch)


def read_line(where: str) -> Line:
    """Give the versions and tags of the set at `where`. Raises ArtifactError where there is none."""
    if is_address(where):
        objects, dataset = _shared_set(where)
        line = shared_line(objects, dataset)
        _required(line.latest, where)
        return line
    return local_line(_home(where))


def roll_back(where: str, wanted: str = "") -> tuple[str, str]:
    """Point the set at `where` back to the version `wanted` (empty: the one before); give the version left and taken.

    Every byte of the version is checked first: raises ArtifactError where it is damaged.
    """
    line = read_line(where)
    left = _required(line.latest, where)
    identity = _known(line, wanted, where) if wanted else version_before(line)
    folder = verify_at(f"{where.rstrip('/')}/{VERSIONS}/{identity}").folder
    by, at = user_name(), datetime.now(UTC)
    if is_address(where):
        objects, dataset = _shared_set(where)
        digest = next(move.sha256 for move in _entries(objects, dataset) if move.id == identity)
        move_latest(objects, dataset, identity, digest, by=by, at=at)
    else:
        point_to(_home(where), identity, file_digest(folder / MANIFEST), by=by, at=at)
    return left, identity


def tag_version(where: str, wanted: str, name: str, *, move: bool = False) -> str:
    """Let the tag `name` of the set at `where` name the version `wanted`; give its id. See `negset.publishing.tags`."""
    identity = _known(read_line(where), wanted, where)
    if is_address(where):
        tags.set_shared_tag(*_shared_set(where), name, identity, move=move)
    else:
        tags.set_tag(_home(where), name, identity, move=move)
    return identity


def untag_version(where: str, wanted: str, name: str) -> str:
    """Take the tag `name` of the set at `where` from the version `wanted`; give its id."""
    identity = _known(read_line(where), wanted, where)
    if is_address(where):
        tags.remove_shared_tag(*_shared_set(where), name, identity)
    else:
        tags.remove_tag(_home(where), name, identity)
    return identity


def user_name() -> str:
    """Name who runs this; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _with_version(where: str) -> str:
    """Turn <set>@<version or tag> into the place of that version; what names a folder that is there stays as it is."""
    named = _AT.match(where)
    if named is None or Path(where).exists():
        return where
    home = named["set"].rstrip("/")
    return f"{home}/{VERSIONS}/{_known(read_line(home), named['version'], home)}"


def _known(line: Line, wanted: str, where: str) -> str:
    return tags.find_version(wanted, line.latest, line.ids(), line.tags, where)


def _home(where: str) -> Path:
    home = Path(where)
    if not (home / LATEST).is_file():
        message = f"{where} is no folder of a set: {LATEST} is not in it. Name the set, not one of its versions"
        raise ArtifactError(message)
    return home


def _shared_set(where: str) -> tuple[Objects, str]:
    store, dataset, identity = split_address(where)
    if identity is not None:
        message = f"{where} is the address of a version; name the set: {store}/{dataset}"
        raise ConfigError(message)
    return Place().open_objects(store), dataset


def _entries(objects: Objects, dataset: str) -> list[HistoryEntry]:
    return [move.entry for move in read_moves(objects, dataset)]


def _required(identity: str | None, where: str) -> str:
    if identity is None:
        message = f"{where} holds no negative set"
        raise ArtifactError(message)
    return identity


def split_address(where: str) -> tuple[str, str, str | None]:
    """Split the address of a set or version into store, set and version (None: the latest)."""
    scheme, _, rest = where.rstrip("/").partition("://")
    parts = rest.split("/")
    identity = parts[-1] if len(parts) > 3 and parts[-2] == VERSIONS else None
    if identity is not None:
        parts = parts[:-2]
    if len(parts) < 2 or not parts[-1] or not urlsplit(where).path.strip("/"):
        message = f"{where} names a store; write the set too, e.g. {scheme}://BUCKET/PREFIX/SET"
        raise ConfigError(message)
    return f"{scheme}://{'/'.join(parts[:-1])}", parts[-1], identity
