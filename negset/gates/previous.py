"""Find the version that a set is compared with: the latest before it was first published."""

from collections.abc import Mapping
from pathlib import Path

from negset.errors import ArtifactError
from negset.publishing.manifest import read_manifest
from negset.publishing.publish import read_history
from negset.publishing.reading import VERSIONS, read_latest
from negset.publishing.sharing import MANIFESTS


def find_previous(home: Path, staged: Mapping[str, str]) -> str | None:
    """Name the previous version of the set folder `home`, given the path and sha256 of each `staged` data file.

    It is the latest version; for files that were published before, it is what they were compared with then, so that
    a set that is built again, or gone back to, is not judged anew. None where there is no such version.
    """
    for entry in read_history(home):
        there = home / VERSIONS / entry.id
        if _files(there if there.exists() else home / MANIFESTS / entry.id) == dict(staged):
            return entry.parent
    return read_latest(home)


def _files(version: Path) -> dict[str, str]:
    """Give path and sha256 of the files of `version`; none where its manifest is not one that is read today."""
    try:
        return {file.path: file.sha256 for file in read_manifest(version).files}
    except ArtifactError:
        return {}
