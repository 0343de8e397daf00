"""Share a published version through an object store, and bring a shared one here.

    <address>/<set>/LATEST                 the id of the version to read, and the number of its move
    <address>/<set>/history/<n>.json       the moves of LATEST, each put once
    <address>/<set>/papers/<id>.tar        the papers of a version, put once and first: they decide whose papers it has
    <address>/<set>/versions/<id>/...      the version, file by file as in a folder; its manifest is put last

Everything but LATEST is put once. A version without its manifest is none; whoever publishes it again completes it.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from negset.errors import ArtifactError, ConflictError, MissingObjectError
from negset.fingerprint import file_digest
from negset.objects.conditions import require_conditions
from negset.objects.objects import Objects
from negset.publishing.invariants import verify_version
from negset.publishing.manifest import ID_LENGTH, read_manifest
from negset.publishing.moves import move_latest, read_moves, shared_latest
from negset.publishing.papers import pack_papers, unpack_papers
from negset.publishing.publish import write_history
from negset.publishing.reading import LATEST, VERSIONS
from negset.publishing.verify import Finding, VerifyReport, inspect_version
from negset.store import (
    MANIFEST,
    check_file,
    flush,
    locked,
    make_folder,
    rename_folder,
    staged_folder,
    write_durably,
)
from schemas.manifest import DataFile

T = TypeVar("T")

MANIFESTS = "manifests"
"""Folder of a local set with the manifests of shared versions that are not here."""
PAPERS = "papers"
_AT_ONCE = 8


def share_version(objects: Objects, version: Path, *, by: str, at: datetime, write: str = "") -> None:
    """Put the version in the folder `version` into `objects` and move its LATEST there; see `move_latest`.

    Raises ArtifactError where a file of the version is damaged, ConflictError where the store holds other bytes under
    its id, EnvironmentFault where the store has no conditional writes.
    """
    manifest, data = read_manifest(version), (version / MANIFEST).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    dataset, identity = manifest.dataset, digest[:ID_LENGTH]
    require_conditions(objects)
    if not _is_shared(objects, dataset, identity, digest):
        _put_files(objects, version, manifest.files, f"{dataset}/{VERSIONS}/{identity}")
        _put_papers(objects, version, dataset, identity, digest)
    move_latest(objects, dataset, identity, digest, by=by, at=at, write=write)


def _is_shared(objects: Objects, dataset: str, identity: str, digest: str) -> bool:
    try:
        objects.get(f"{dataset}/{VERSIONS}/{identity}/{MANIFEST}", digest)
    except MissingObjectError:
        return False
    return True


def _put_files(objects: Objects, version: Path, files: Iterable[DataFile], folder: str) -> None:
    def put(file: DataFile) -> None:
        # What is put stays for ever: a file that rotted here must not get there.
        check_file(version / file.path, file.bytes, file.sha256)
        objects.put_once(f"{folder}/{file.path}", version / file.path)

    _at_once(put, files)


def _put_papers(objects: Objects, version: Path, dataset: str, identity: str, digest: str) -> None:
    """Put the papers of `version`, or those that another publisher of the same version has put; the manifest last."""
    key, packed = f"{dataset}/{PAPERS}/{identity}.tar", pack_papers(version)
    try:
        objects.put_once(key, packed)
    except ConflictError:
        packed = objects.get(key)
    papers = unpack_papers(packed, f"{objects.url}/{key}")
    manifest = papers.pop(MANIFEST, b"")
    if hashlib.sha256(manifest).hexdigest() != digest:
        message = f"{objects.url}/{key} holds another manifest than {identity}: the store was tampered with"
        raise ArtifactError(message)
    folder = f"{dataset}/{VERSIONS}/{identity}"
    _at_once(lambda name: objects.put_once(f"{folder}/{name}", papers[name]), sorted(papers))
    objects.put_once(f"{folder}/{MANIFEST}", manifest)


def fetch_version(objects: Objects, dataset: str, identity: str, home: Path) -> Path:
    """Give the folder of a version below the set folder `home`, brought from `objects` where it is not there.

    Every file is checked against the manifest, and the manifest against the id, before the folder has its name.
    Raises ArtifactError naming what is missing or damaged in the store.
    """
    target = home / VERSIONS / identity
    if target.exists():
        return target
    folder = f"{dataset}/{VERSIONS}/{identity}"
    _read_shared_manifest(objects, dataset, identity)
    make_folder(target.parent)
    key = f"{dataset}/{PAPERS}/{identity}.tar"
    with staged_folder(home) as staged:
        for name, data in unpack_papers(objects.get(key), f"{objects.url}/{key}").items():
            make_folder((staged / name).parent)
            (staged / name).write_bytes(data)
        _fetch_files(objects, folder, read_manifest(staged).files, staged)
        report = inspect_version(staged)
        findings = list(report.findings)
        if report.id != identity:
            findings.append(Finding(path=MANIFEST, problem=f"its digest gives the id {report.id}"))
        if findings:
            first = findings[0]
            message = f"{objects.url}/{folder} is damaged: {first.path}: {first.problem}. Publish the set anew"
            raise ArtifactError(message)
        for path in staged.rglob("*"):
            if path.is_file():
                flush(path)
        rename_folder(staged, target)
    return target


def _fetch_files(objects: Objects, folder: str, files: Iterable[DataFile], staged: Path) -> None:
    def fetch(file: DataFile) -> None:
        target = staged / file.path
        make_folder(target.parent)
        objects.fetch(f"{folder}/{file.path}", target, file.bytes, file.sha256)

    _at_once(fetch, files)


def check_shared(objects: Objects, dataset: str, identity: str, scratch: Path) -> VerifyReport:
    """Bring a shared version into the empty folder `scratch` and check all that is in the store under its id.

    Raises ArtifactError naming what is missing, damaged or not part of the version.
    """
    folder = f"{dataset}/{VERSIONS}/{identity}"
    version = fetch_version(objects, dataset, identity, scratch)
    report = verify_version(version)
    files = {path.relative_to(version).as_posix(): path for path in version.rglob("*") if path.is_file()}
    papers = [name for name in files if not name.startswith("data/")]
    _at_once(lambda name: objects.get(f"{folder}/{name}", file_digest(files[name])), papers)
    extra = [one.key for one in objects.listed(folder) if one.key.removeprefix(f"{folder}/") not in files]
    if extra:
        message = f"{objects.url}/{extra[0]} is no file of version {identity}; {len(extra)} such in all. Remove them"
        raise ArtifactError(message)
    return report


def follow(objects: Objects, dataset: str, home: Path) -> str | None:
    """Make the set folder `home` say what `objects` says: its LATEST and history, and the latest version's files.

    Gives the id of the latest version, None where nothing is shared yet. What only `home` had said before is
    forgotten, since the store is what everybody reads. Manifests of earlier versions are kept aside, for those who
    compare.
    """
    latest, number = shared_latest(objects, dataset)
    moves = read_moves(objects, dataset)[:number]
    for move in moves:
        _keep_manifest(objects, dataset, move.entry.id, home)
    if latest is not None:
        fetch_version(objects, dataset, latest, home)
    with locked(home / ".lock"):
        write_history(home, [move.entry for move in moves])
        if latest is None:
            (home / LATEST).unlink(missing_ok=True)
        else:
            write_durably(home / LATEST, f"{latest}\n".encode())
    return latest


def _keep_manifest(objects: Objects, dataset: str, identity: str, home: Path) -> None:
    path = home / MANIFESTS / identity / MANIFEST
    if not path.exists() and not (home / VERSIONS / identity).exists():
        data = _read_shared_manifest(objects, dataset, identity)
        make_folder(path.parent)
        write_durably(path, data)


def _read_shared_manifest(objects: Objects, dataset: str, identity: str) -> bytes:
    key = f"{dataset}/{VERSIONS}/{identity}/{MANIFEST}"
    data = objects.get(key)
    if hashlib.sha256(data).hexdigest()[:ID_LENGTH] != identity:
        message = f"{objects.url}/{key} is damaged: its digest is not its id"
        raise ArtifactError(message)
    return data


def _at_once(act: Callable[[T], object], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        list(workers.map(act, items))
