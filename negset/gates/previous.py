"""Find the version that a set is compared with: the latest that was published with other rows."""

from collections.abc import Mapping
from pathlib import Path

from negset.errors import ArtifactError
from negset.publishing.manifest import read_manifest
from negset.publishing.publish import read_history
from negset.publishing.reading import VERSIONS, read_latest


def find_previous(home: Path, staged: Mapping[str, str]) -> str | None:
    """Name the previous version of the set folder `home`, given the path and sha256 of each `staged` data file.

    Where the latest version has these very files, the set was published already, and the version before it counts:
    a build that is run again is compared with what it was compared with. None where there is no other version.
    """
    parents = {entry.id: entry.parent for entry in read_history(home)}
    version, seen = read_latest(home), set[str]()
    while version is not None and version not in seen:
        seen.add(version)
        if _files(home / VERSIONS / version) != dict(staged):
            return version
        version = parents.get(version)
    return None


def _files(version: Path) -> dict[str, str]:
    """Give path and sha256 of the files of `version`; none where its manifest is not one that is read today."""
    try:
        return {file.path: file.sha256 for file in read_manifest(version).files}
    except ArtifactError:
        return {}
