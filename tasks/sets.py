"""Published sets of this machine and shared ones, by path or address."""

from pathlib import Path
from urllib.parse import urlsplit

from negset.errors import ArtifactError, ConfigError
from negset.objects.opening import is_address
from negset.publishing.moves import shared_latest
from negset.publishing.reading import VERSIONS
from negset.publishing.sharing import check_shared, fetch_version, follow
from negset.publishing.verify import VerifyReport, verify_set
from negset.store import staged_folder
from tasks.place import Place


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

    An address is <store>/<set> for the latest version, <store>/<set>/versions/<id> for that one. Raises ArtifactError
    where it names no set.
    """
    if not is_address(where):
        return Path(where)
    store, dataset, identity = split_address(where)
    place = Place()
    objects, home = place.open_objects(store), place.copies_folder(store) / dataset
    return fetch_version(objects, dataset, identity or _required(follow(objects, dataset, home), where), home)


def verify_at(where: str) -> VerifyReport:
    """Check every file of the set or version at `where`; of a shared one those in the store, not their copies here.

    Raises ArtifactError naming what is wrong.
    """
    if not is_address(where):
        return verify_set(Path(where))
    store, dataset, identity = split_address(where)
    place = Place()
    objects = place.open_objects(store)
    identity = identity or _required(shared_latest(objects, dataset)[0], where)
    with staged_folder(place.copies_folder(store)) as scratch:
        return check_shared(objects, dataset, identity, scratch)


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
