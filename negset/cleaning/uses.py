"""Who uses a store: builds that run, and the versions that were made from its artifacts.

<store>/uses/<set>/<version>-<home>.json   the artifacts that a version was made from, and where the version lies
<store>/.in-use                            locked while a build runs, shared; whoever removes locks it alone
"""

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from negset.errors import ArtifactError, ConflictError
from negset.fingerprint import fingerprint
from negset.objects.opening import is_address
from negset.publishing.reading import VERSIONS
from negset.store import MANIFEST, make_folder, write_durably
from schemas.manifest import Record
from schemas.refs import Ref

USES: Final = "uses"
_LOCK: Final = ".in-use"

Name = tuple[str, str]
"""Kind and fingerprint of an artifact."""


class Use(Record):
    """The `artifacts` that the version `version` of the set at `home` was made from."""

    home: str
    version: str
    artifacts: tuple[Name, ...]

    @property
    def stands(self) -> bool:
        """Say whether the version may still be there: it is not where its set is and the version is not.

        A set that is not found may lie on a disk that is not mounted, and one at an address is not looked at.
        """
        home = Path(self.home)
        return is_address(self.home) or not home.is_dir() or (home / VERSIONS / self.version / MANIFEST).is_file()


@contextmanager
def in_use(root: Path) -> Iterator[None]:
    """Keep artifacts of the store at `root` from being removed while the block runs."""
    make_folder(root)
    with (root / _LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Have the store at `root` for oneself; raise ConflictError where a build runs."""
    make_folder(root)
    with (root / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"a build is using {root}: nothing was removed. Run it again when the build is through"
            raise ConflictError(message) from error
        yield


def record_use(root: Path, home: str, dataset: str, version: str, artifacts: Iterable[Ref]) -> None:
    """Write down in the store at `root` that `version` of the set at `home` was made from `artifacts`."""
    path = root / USES / dataset / f"{version}-{fingerprint(home)[:16]}.json"
    named = {(ref.kind, ref.fingerprint) for ref in artifacts}
    if path.exists():
        named |= set(_read_use(path).artifacts)
    make_folder(path.parent)
    write_durably(path, Use(home=home, version=version, artifacts=tuple(sorted(named))).model_dump_json().encode())


def read_uses(root: Path) -> list[Use]:
    """Give every use that was written down in the store at `root`, whether its version is still there or not."""
    return [_read_use(path) for path in sorted((root / USES).rglob("*.json"))]


def refs_in(value: object) -> Iterator[Ref]:
    """Give every reference in `value`: a reference, or models, lists and mappings that hold some."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from refs_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from refs_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from refs_in(inner)


def _read_use(path: Path) -> Use:
    try:
        return Use.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path} does not say what a version was made from: {error}. Delete it and build the set again"
        raise ArtifactError(message) from error
