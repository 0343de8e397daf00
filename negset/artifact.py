"""What an artifact is, and what those who share artifacts between machines do."""

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class StoredFile(BaseModel):
    """One file of an artifact: its path in the folder, its size and its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    bytes: int
    sha256: str


class ArtifactManifest(BaseModel):
    """What is in an artifact. Its presence means that the artifact is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    fingerprint: str
    content: str
    rows: int
    files: list[StoredFile]
    facts: dict[str, object] = {}


class SharedArtifacts(Protocol):
    """Finished artifacts that several machines share; `negset/objects/artifacts.py` keeps them in an object store."""

    def manifest(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        """Give the manifest of a shared artifact, None where it is not shared."""
        ...

    def lately(self, kind: str, fingerprint: str) -> ArtifactManifest | None:
        """As `manifest`, but what was shared in the last seconds may be missed: cheap to ask for many."""
        ...

    def names(self, kind: str, prefix: str) -> list[str]:
        """List the fingerprints of the shared artifacts of `kind` that start with `prefix`."""
        ...

    def share(self, manifest: ArtifactManifest, folder: Path) -> ArtifactManifest:
        """Share the artifact in `folder`; give the manifest of what is shared now: perhaps another machine's."""
        ...

    def fetch(self, manifest: ArtifactManifest, folder: Path) -> None:
        """Write the files of a shared artifact into the empty `folder`, each checked against its digest."""
        ...

    def pinned(self, key: str) -> str | None:
        """Give the line that is kept under `key`, None where there is none."""
        ...

    def pin(self, key: str, value: str) -> str:
        """Keep the line `value` under `key` unless one is there; give the one that is."""
        ...
