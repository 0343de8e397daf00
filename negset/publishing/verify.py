"""Check a published version against its manifest, byte by byte; every finding names a path."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from negset.errors import ArtifactError
from negset.fingerprint import file_digest
from negset.publishing import bag
from negset.publishing.invariants import broken_rows
from negset.publishing.manifest import ID_LENGTH, canonical_bytes, read_manifest, registered_schema
from negset.publishing.reading import resolve_version
from negset.store import MANIFEST, check_file
from schemas.frames import KEYS
from schemas.manifest import DataFile, Record, SetManifest

_SHOWN = 10


class Finding(Record):
    """What is wrong with one file; `path` is relative to the version's folder."""

    path: str
    problem: str


@dataclass(frozen=True)
class VerifyReport:
    """What verifying a version found."""

    folder: Path
    id: str
    files: int
    bytes: int
    findings: tuple[Finding, ...]


def verify_set(path: Path, *, rows: bool = False) -> VerifyReport:
    """Check the version at `path`, or the latest one of the set at `path`; give what was checked.

    With `rows` its rows are read too and held to what must hold between them.
    Raises ArtifactError naming the paths that are missing, changed, extra or of another schema.
    """
    report = inspect_version(resolve_version(path), rows=rows)
    if report.findings:
        shown = "; ".join(f"{finding.path}: {finding.problem}" for finding in report.findings[:_SHOWN])
        more = f"; and {len(report.findings) - _SHOWN} more" if len(report.findings) > _SHOWN else ""
        message = f"{report.folder} is damaged: {shown}{more}. Delete the folder and publish the set again"
        raise ArtifactError(message)
    return report


def inspect_version(folder: Path, *, rows: bool = False) -> VerifyReport:
    """Check the version in `folder` and give all findings, sorted by path; the rows of whole files alone."""
    try:
        manifest = read_manifest(folder)
        data = (folder / MANIFEST).read_bytes()
    except ArtifactError as error:
        return _inspect_without_manifest(folder, error)
    digest = hashlib.sha256(data).hexdigest()
    findings = [
        *_identity_findings(folder, manifest, data, digest[:ID_LENGTH]),
        *(finding for file in manifest.files for finding in _file_findings(folder, file, manifest)),
        *_bag_findings(folder, manifest),
    ]
    if rows and not findings:
        findings += [Finding(path=f"data/{one.table}", problem=one.problem) for one in broken_rows(folder, manifest)]
    size = sum(file.bytes for file in manifest.files)
    ordered = sorted(set(findings), key=lambda finding: (finding.path, finding.problem))
    return VerifyReport(folder, digest[:ID_LENGTH], len(manifest.files), size, tuple(ordered))


def _inspect_without_manifest(folder: Path, error: ArtifactError) -> VerifyReport:
    """Hold the files in `folder` to the bag's lists alone: the manifest cannot be read, as `error` says."""
    findings = [Finding(path=MANIFEST, problem=str(error))]
    lists = {name: _read_list(folder, name) for name in (bag.PAYLOAD, bag.TAGS)}
    findings += [found for found in lists.values() if isinstance(found, Finding)]
    payload, tags = (found if isinstance(found, dict) else {} for found in lists.values())
    findings += [*_listed_findings(folder, payload, bag.PAYLOAD), *_listed_findings(folder, tags, bag.TAGS)]
    if payload and tags:
        findings += _extra_findings(folder, {*payload, *tags, bag.TAGS})
    ordered = sorted(set(findings), key=lambda finding: (finding.path, finding.problem))
    return VerifyReport(folder, "", len(payload), 0, tuple(ordered))


def _identity_findings(folder: Path, manifest: SetManifest, data: bytes, identity: str) -> Iterator[Finding]:
    # By its own words, not by today's fields: one that an older negset wrote lacks those that came since.
    if canonical_bytes(json.loads(data)) != data:
        yield Finding(path=MANIFEST, problem="is not in its canonical form: it was edited")
    if folder.parent.name == "versions" and folder.name != identity:
        yield Finding(path=MANIFEST, problem=f"its digest gives the id {identity}, the folder says {folder.name}")
    try:
        named = bag.read_info(folder / bag.INFO).get("External-Identifier")
    except ArtifactError:
        return  # the tag manifest reports it
    if named != f"{manifest.dataset}@{identity}":
        yield Finding(path=bag.INFO, problem=f"names {named}, the manifest is {manifest.dataset}@{identity}")


def _file_findings(folder: Path, file: DataFile, manifest: SetManifest) -> Iterator[Finding]:
    """Check one data file: size, digest, schema, number of rows."""
    path = folder / file.path
    if file.table not in KEYS:
        yield Finding(path=MANIFEST, problem=f"names a table {file.table!r} for {file.path}, which does not exist")
        return
    if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
        yield Finding(path=MANIFEST, problem=f"names {file.path}, a path outside the folder")
        return
    try:
        check_file(path, file.bytes, file.sha256)
        footer = pq.read_metadata(path)
        schema = pq.read_schema(path)
    except (ArtifactError, OSError, ValueError, pa.ArrowException) as error:
        yield Finding(path=file.path, problem=str(error).removeprefix(f"{path} ").split(". Delete")[0])
        return
    if not schema.equals(registered_schema(file.table, manifest)):
        yield Finding(path=file.path, problem=f"does not have the schema of table {file.table!r}")
    if footer.num_rows != file.rows:
        yield Finding(path=file.path, problem=f"has {footer.num_rows} rows, the manifest says {file.rows}")


def _bag_findings(folder: Path, manifest: SetManifest) -> Iterator[Finding]:
    """Check the bag: both lists are there, say what the manifest says, and name every file but themselves."""
    lists = {name: _read_list(folder, name) for name in (bag.PAYLOAD, bag.TAGS)}
    yield from (found for found in lists.values() if isinstance(found, Finding))
    expected = {file.path: file.sha256 for file in manifest.files}
    said, tags = lists.values()
    payload = said if isinstance(said, dict) else expected
    for name in sorted({*payload, *expected}):
        if payload.get(name) != expected.get(name):
            yield Finding(path=name, problem=f"{bag.PAYLOAD} and {MANIFEST} differ on it")
    if isinstance(tags, Finding):
        return  # what is a paper of the version, and what is not, only that list says
    if bag.digest_lines(tags).encode() != (folder / bag.TAGS).read_bytes():
        yield Finding(path=bag.TAGS, problem="is not in its canonical form: it was edited")
    yield from _tag_findings(folder, tags)
    yield from _extra_findings(folder, {*payload, *expected, *tags, bag.TAGS})


def _read_list(folder: Path, name: str) -> dict[str, str] | Finding:
    try:
        return bag.read_digests(folder / name)
    except ArtifactError as error:
        return Finding(path=name, problem=str(error))


def _tag_findings(folder: Path, tags: dict[str, str]) -> Iterator[Finding]:
    yield from _listed_findings(folder, tags, bag.TAGS)
    for name in (MANIFEST, bag.PAYLOAD, bag.INFO, bag.DECLARATION):
        if name not in tags:
            yield Finding(path=name, problem=f"{bag.TAGS} does not list it")


def _listed_findings(folder: Path, digests: dict[str, str], where: str) -> Iterator[Finding]:
    """Hold each file that the list `where` names to its digest there."""
    for name, digest in digests.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            yield Finding(path=name, problem=f"{where} names a path outside the folder")
        elif not path.is_file():
            yield Finding(path=name, problem=f"is missing; {where} names it")
        elif file_digest(path) != digest:
            yield Finding(path=name, problem=f"differs from its digest in {where}")


def _extra_findings(folder: Path, listed: Iterable[str]) -> Iterator[Finding]:
    known = set(listed)
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield Finding(path=name, problem="is a link; a version holds plain files")
        elif not path.is_dir() and name not in known:
            yield Finding(path=name, problem="is in no manifest")
