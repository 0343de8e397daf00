"""Tags: names for versions of a set, that people choose and cleaning up respects.

    <set>/tags/<name>     in a folder the id of the version; in an object store "<id> <move>", or "- <move>" for none

A tag is moved only where that is asked for: somebody may train on what it names.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from negset.errors import ArtifactError, ConfigError, ConflictError, hint
from negset.objects.objects import Objects
from negset.publishing.manifest import ID_LENGTH
from negset.store import locked, make_folder, write_durably

TAGS: Final = "tags"
NEWEST: Final = "latest"
"""What stands for the latest version wherever a version is named; so it cannot be a tag."""
_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
_ID: Final = re.compile(rf"^[0-9a-f]{{{ID_LENGTH}}}$")
_GONE: Final = "-"
_LEAST_PREFIX: Final = 4


def check_tag(name: str) -> str:
    """Give `name` back, or raise ConfigError where it can be no tag: it could be taken for a version or a path."""
    if not _NAME.match(name) or _ID.match(name) or name == NEWEST:
        message = (
            f"{name!r} can be no tag: small letters, digits, '.', '_' and '-', 64 at the most, starting with a letter "
            f"or digit, and neither {NEWEST!r} nor the id of a version"
        )
        raise ConfigError(message)
    return name


def find_version(wanted: str, latest: str | None, known: Iterable[str], tags: Mapping[str, str], where: str) -> str:
    """Give the id of the version that `wanted` names: `latest`, an id, its first digits, or a tag.

    `known` are the ids of the set at `where`. Raises ConfigError where it names none, or several.
    """
    ids = sorted(set(known))
    if wanted == NEWEST and latest is not None:
        return latest
    if wanted in ids:
        return wanted
    if wanted in tags:
        return tags[wanted]
    begun = [one for one in ids if len(wanted) >= _LEAST_PREFIX and one.startswith(wanted)]
    if len(begun) > 1:
        message = f"{wanted!r} is the beginning of {len(begun)} versions of {where}: {', '.join(begun[:5])}"
        raise ConfigError(message)
    if not begun:
        message = f"{where} has no version or tag {wanted!r}{hint(wanted, [*tags, *ids])}; negset history lists them"
        raise ConfigError(message)
    return begun[0]


def read_tags(home: Path) -> dict[str, str]:
    """Give the version of each tag of the set folder `home`, by name."""
    found = {}
    folder = home / TAGS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not path.name.startswith("."):
            found[path.name] = _id_in(path.read_text(encoding="utf-8", errors="replace").strip(), str(path))
    return found


def set_tag(home: Path, name: str, identity: str, *, move: bool = False) -> None:
    """Let the tag `name` of the set folder `home` name the version `identity`.

    Raises ConflictError where it names another, unless `move` is given.
    """
    path = home / TAGS / check_tag(name)
    make_folder(path.parent)
    with locked(home / ".lock"):
        _require_free(name, read_tags(home).get(name), identity, move=move)
        write_durably(path, f"{identity}\n".encode())


def remove_tag(home: Path, name: str, identity: str) -> None:
    """Take the tag `name` from the version `identity`; raise ConfigError where it names another or nothing."""
    with locked(home / ".lock"):
        _require_held(name, read_tags(home).get(name), identity)
        (home / TAGS / name).unlink()


def shared_tags(objects: Objects, dataset: str) -> dict[str, str]:
    """Give the version of each tag of the shared set `dataset`, by name."""
    folder = f"{dataset}/{TAGS}"
    names = [one.key.removeprefix(f"{folder}/") for one in objects.listed(folder)]
    texts = {name: objects.read(f"{folder}/{name}") for name in names}
    found = {name: text.partition(" ")[0] for name, text in texts.items() if text is not None}
    return {name: _id_in(one, f"{objects.url}/{folder}/{name}") for name, one in found.items() if one != _GONE}


def set_shared_tag(objects: Objects, dataset: str, name: str, identity: str, *, move: bool = False) -> None:
    """As `set_tag`, of a shared set; somebody else's move at the same time is a ConflictError."""
    key = f"{dataset}/{TAGS}/{check_tag(name)}"
    text = objects.read(key)
    held = (text or _GONE).partition(" ")[0]
    _require_free(name, None if held == _GONE else held, identity, move=move)
    if held != identity:
        objects.swap(key, text, f"{identity} {uuid4().hex}")


def remove_shared_tag(objects: Objects, dataset: str, name: str, identity: str) -> None:
    """As `remove_tag`, of a shared set."""
    key = f"{dataset}/{TAGS}/{check_tag(name)}"
    text = objects.read(key)
    held = (text or _GONE).partition(" ")[0]
    _require_held(name, None if held == _GONE else held, identity)
    objects.swap(key, text, f"{_GONE} {uuid4().hex}")


def _require_free(name: str, held: str | None, identity: str, *, move: bool) -> None:
    if held not in (None, identity) and not move:
        message = f"tag {name!r} names version {held}; give --move to let it name {identity}"
        raise ConflictError(message)


def _require_held(name: str, held: str | None, identity: str) -> None:
    if held != identity:
        message = f"tag {name!r} names {f'version {held}' if held else 'nothing'}, not {identity}; nothing was changed"
        raise ConfigError(message)


def _id_in(text: str, where: str) -> str:
    if not _ID.match(text):
        message = f"{where} holds {text[:40]!r}, which is no version id: take the tag away and set it again"
        raise ArtifactError(message)
    return text
