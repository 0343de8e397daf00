"""Open a published set: the one door of those who train on it or show it."""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from negset.errors import ArtifactError, ContractError
from negset.publishing.manifest import ID_LENGTH, read_manifest
from negset.store import MANIFEST, check_file
from negset.tables import read_table
from schemas.manifest import SetManifest

LATEST = "LATEST"
VERSIONS = "versions"

_ID = re.compile(rf"^[0-9a-f]{{{ID_LENGTH}}}$")


@dataclass(frozen=True)
class PublishedSet:
    """A version of a negative set: its folder and its manifest."""

    folder: Path
    manifest: SetManifest

    def table(self, name: str, split: str | None = None) -> pl.DataFrame:
        """Read the table `name`, in the order of its key, one `split` of it or all.

        Every file is checked against its digest first. Raises ContractError for a table that the set lacks.
        """
        files = [file for file in self.manifest.files if file.table == name]
        if not files:
            known = sorted({file.table for file in self.manifest.files})
            message = f"set {self.folder} has no table {name!r}; it has {', '.join(known)}"
            raise ContractError(message)
        wanted = [file for file in files if split is None or file.split in (None, split)]
        for file in wanted:
            check_file(self.folder / file.path, file.bytes, file.sha256)
        frames = [read_table(self.folder / file.path) for file in wanted or files[:1]]
        frame = pl.concat([part.with_columns(pl.col(pl.Categorical).cast(pl.String)) for part in frames])
        if not wanted:
            return frame.clear()
        return frame if split is None or "split" not in frame.columns else frame.filter(pl.col("split") == split)


def read_set(path: Path) -> PublishedSet:
    """Open the version at `path`, or the latest version of the set at `path`."""
    folder = resolve_version(path)
    return PublishedSet(folder, read_manifest(folder))


def resolve_version(path: Path) -> Path:
    """Give the folder of a version: `path` itself, or what LATEST in it points to.

    Raises ArtifactError where `path` is neither.
    """
    if (path / MANIFEST).is_file():
        return path
    latest = read_latest(path)
    if latest is None:
        message = f"{path} holds no negative set: neither {MANIFEST} nor {LATEST} is in it"
        raise ArtifactError(message)
    folder = path / VERSIONS / latest
    if not (folder / MANIFEST).is_file():
        message = f"{path / LATEST} points to {latest}, but {folder} holds no whole version"
        raise ArtifactError(message)
    return folder


def read_latest(home: Path) -> str | None:
    """Give the id that LATEST in the set folder `home` names, None where it is not there."""
    try:
        latest = (home / LATEST).read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {home / LATEST}: {error}"
        raise ArtifactError(message) from error
    if not _ID.match(latest):
        message = f"{home / LATEST} holds {latest[:40]!r}, which is no version id"
        raise ArtifactError(message)
    return latest
