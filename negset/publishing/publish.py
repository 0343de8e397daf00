"""Publish a staged set: an immutable version, a history, and one pointer that is swapped last.

    <root>/<set>/LATEST               the id of the version to read; the only file that ever changes
    <root>/<set>/history.jsonl        a line for each time that LATEST moved
    <root>/<set>/versions/<id>/       tables and papers; never touched again
    <root>/<set>/staging/<random>/    what is being written

Wherever a publisher dies, a reader finds the old version or the new one, whole.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from negset.errors import ArtifactError, ContractError, ValidationFailed
from negset.fingerprint import fingerprint
from negset.publishing.bag import write_bag, write_tag_manifest
from negset.publishing.card import dataset_card
from negset.publishing.contract import CONTRACT, asks_for_contract, contract_document
from negset.publishing.manifest import describe_set, manifest_bytes, version_id
from negset.publishing.metadata import croissant_document, schema_document
from negset.publishing.page import render_page
from negset.publishing.provenance import provenance_document
from negset.publishing.reading import LATEST, VERSIONS, read_latest
from negset.publishing.signing import sign_version
from negset.publishing.verify import verify_set
from negset.snapshot import Snapshot
from negset.store import MANIFEST, flush, locked, make_folder, rename_folder, staged_folder, swap, write_durably
from schemas.expectations import GateReport
from schemas.manifest import Record, SetCounts, SetFacts, SetManifest
from schemas.refs import NegativeSetRef

HISTORY = "history.jsonl"
REPORT = "validation.json"
VALIDATION = "validation"
PAGE = "report.html"


class HistoryEntry(Record):
    """One move of LATEST: from `parent` to `id`, whose manifest has the full digest `sha256`."""

    n: int
    id: str
    parent: str | None
    published_at: str
    by: str
    sha256: str


@dataclass(frozen=True)
class Draft:
    """A staged set and all that is said of it.

    `folder` holds data/ and nothing else that counts; `gates` holds validation.json and the Data Docs;
    `selection` is the folder with the candidates, `snapshot` gives the texts that the page shows. `rows_sha256`
    gives the digest of the rows for the digest of a file's bytes, where it is known already. `signing_key` is the
    PEM of the private key that the version is signed with, None for no signature.
    """

    folder: Path
    gates: Path
    facts: SetFacts
    counts: SetCounts
    selection: Path
    snapshot: Snapshot
    rows_sha256: Mapping[str, str] = field(default_factory=dict)
    signing_key: Path | None = None


def publish_set(draft: Draft, root: Path, *, by: str, at: datetime) -> NegativeSetRef:
    """Publish `draft` below `root` and point LATEST to it; a version that exists already is not written again.

    Raises ValidationFailed where the gates did not pass the very bytes that are staged, ArtifactError where a
    version of the same id exists and is damaged.
    """
    report = approved(draft)
    manifest = describe_set(draft.facts, draft.folder, draft.counts, report, draft.rows_sha256)
    require_same_bytes(draft.folder, manifest, report)
    identity = version_id(manifest)
    home = root / manifest.dataset
    version = home / VERSIONS / identity
    if not version.exists():
        make_folder(version.parent)
        with staged_folder(home) as staged:
            write_version(draft, manifest, report, staged, by=by, at=at)
            rename_folder(staged, version)
    verify_set(version)
    point_to(home, identity, sha256(manifest_bytes(manifest)).hexdigest(), by=by, at=at)
    content = fingerprint(sorted((file.path, file.rows_sha256) for file in manifest.files))
    return NegativeSetRef(
        fingerprint=identity, content=content, rows=manifest.counts.rows["negatives"], path=str(version)
    )


def approved(draft: Draft) -> GateReport:
    """Give the gates' report on `draft`; raise ValidationFailed where it is missing or did not pass."""
    path = draft.gates / REPORT
    try:
        report = GateReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path} holds no report of the gates, so nothing is published: {error}. Validate the set again"
        raise ValidationFailed(message) from error
    if not report.passed:
        names = ", ".join(check.name for check in report.failed[:5]) or "not every check was evaluated"
        message = f"{path} says that the set did not pass: {names}. Nothing was published"
        raise ValidationFailed(message)
    return report


def require_same_bytes(folder: Path, manifest: SetManifest, report: GateReport) -> None:
    """Raise ContractError unless the files in `folder`, which `manifest` lists, are those that `report` is on."""
    checked = report.files
    staged = {file.path: file.sha256 for file in manifest.files}
    changed = sorted(name for name in {*checked, *staged} if checked.get(name) != staged.get(name))
    if changed:
        message = f"{folder}: {', '.join(changed[:5])} changed after validation. Validate the set again"
        raise ContractError(message)


def write_version(
    draft: Draft, manifest: SetManifest, report: GateReport, folder: Path, *, by: str, at: datetime
) -> None:
    """Write tables and papers of `draft`, which `report` let pass, into `folder`, flushed, the manifest last."""
    identity, data = version_id(manifest), manifest_bytes(manifest)
    shutil.copytree(draft.folder / "data", folder / "data")
    # The gates' folder may be an artifact of the store, whose own manifest is none of a reader's business.
    shutil.copytree(draft.gates, folder / VALIDATION, ignore=shutil.ignore_patterns(MANIFEST))
    papers = {
        "README.md": dataset_card(manifest, identity),
        "schema.json": _json(schema_document(manifest)),
        "croissant.json": _json(croissant_document(manifest, identity)),
        "provenance.intoto.json": _json(provenance_document(manifest, identity, by=by, at=at)),
        PAGE: render_page(manifest, identity, draft.folder, draft.selection, draft.snapshot, report),
    }
    if asks_for_contract(manifest):
        papers[CONTRACT] = _json(contract_document(manifest, identity, report))
    for name, text in papers.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    write_bag(folder, manifest, identity, by=by, at=at)
    if draft.signing_key is not None:
        (folder / MANIFEST).write_bytes(data)
        sign_version(folder, draft.signing_key)
    write_tag_manifest(folder, {MANIFEST: sha256(data).hexdigest()})
    for path in folder.rglob("*"):
        if path.is_file():
            flush(path)
    write_durably(folder / MANIFEST, data)


def point_to(home: Path, identity: str, digest: str, *, by: str, at: datetime) -> None:
    """Move LATEST of the set folder `home` to the version `identity` and write it into the history first."""
    with locked(home / ".lock"):
        parent = read_latest(home)
        if parent == identity:
            return
        entries = read_history(home)
        last = entries[-1] if entries else None
        if last is None or (last.id, last.parent) != (identity, parent):
            entry = HistoryEntry(
                n=last.n + 1 if last else 1,
                id=identity,
                parent=parent,
                published_at=at.isoformat(timespec="seconds"),
                by=by,
                sha256=digest,
            )
            write_history(home, [*entries, entry])
        swap(home / LATEST, parent, identity)


def read_history(home: Path) -> list[HistoryEntry]:
    """Read the history of the set folder `home`, oldest first; empty where nothing was published."""
    path = home / HISTORY
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [HistoryEntry.model_validate_json(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        message = f"{path} is damaged: {error}"
        raise ArtifactError(message) from error


def write_history(home: Path, entries: list[HistoryEntry]) -> None:
    """Write all `entries` as the history of `home`, old or new and never half a line."""
    lines = "".join(f"{entry.model_dump_json()}\n" for entry in entries)
    write_durably(home / HISTORY, lines.encode())


def _json(document: dict[str, object]) -> str:
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)}\n"
