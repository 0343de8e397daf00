"""Make a folder a BagIt 1.0 bag, so that `sha256sum -c` and any bag tool can check it without negset."""

from datetime import datetime
from pathlib import Path

from negset.errors import ArtifactError
from negset.fingerprint import file_digest
from schemas.manifest import SetManifest

PAYLOAD = "manifest-sha256.txt"
TAGS = "tagmanifest-sha256.txt"
INFO = "bag-info.txt"
DECLARATION = "bagit.txt"


def write_bag(folder: Path, manifest: SetManifest, identity: str, *, by: str, at: datetime) -> None:
    """Write the bag's declaration, info and payload manifest into `folder`; the one place for times and names."""
    size = sum(file.bytes for file in manifest.files)
    info = {
        "Bag-Software-Agent": f"{manifest.builder.package} {manifest.builder.version}",
        "Bagging-Date": at.date().isoformat(),
        "External-Description": manifest.description or f"Negative set {manifest.dataset}",
        "External-Identifier": f"{manifest.dataset}@{identity}",
        "Payload-Oxum": f"{size}.{len(manifest.files)}",
        "Published-At": at.isoformat(timespec="seconds"),
        "Published-By": by,
    }
    _write(folder / DECLARATION, "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    _write(folder / INFO, "".join(f"{name}: {' '.join(value.split())}\n" for name, value in info.items()))
    _write(folder / PAYLOAD, digest_lines({file.path: file.sha256 for file in manifest.files}))


def write_tag_manifest(folder: Path, coming: dict[str, str]) -> None:
    """List every file of `folder` outside data/ with its digest; `coming` are those still to be written."""
    papers = (path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): path for path in papers}
    listed = {name: file_digest(path) for name, path in digests.items() if not name.startswith("data/")} | coming
    _write(folder / TAGS, digest_lines(listed))


def digest_lines(digests: dict[str, str]) -> str:
    """Write `digests` (file name to sha256) as the lines of a bag manifest, by name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def read_digests(path: Path) -> dict[str, str]:
    """Read a bag manifest at `path`: file name to sha256. Raises ArtifactError naming the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ArtifactError(message) from error
    digests = {}
    for number, line in enumerate(lines, start=1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            message = f"{path}, line {number}: expected a sha256, two blanks and a path"
            raise ArtifactError(message)
        digests[name] = digest
    return digests


def read_info(path: Path) -> dict[str, str]:
    """Read the `Name: value` lines of a bag's info file at `path`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ArtifactError(message) from error
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
