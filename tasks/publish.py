"""Publish a set that passed its gates."""

from datetime import UTC, datetime
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import TaskRunContext

from negset.building import selection_counts, selection_digests, selection_folder
from negset.fingerprint import file_digest
from negset.publishing.moves import move_latest
from negset.publishing.publish import Draft, point_to, publish_set
from negset.publishing.reading import read_latest
from negset.publishing.sharing import share_version
from negset.snapshot import open_snapshot
from negset.store import MANIFEST, Store, make_folder, write_durably
from schemas.manifest import SetCounts, SetFacts
from schemas.refs import NegativeSetRef, ReportRef, SelectionRef, SnapshotRef
from tasks.lineage import report_lineage
from tasks.place import Place
from tasks.policies import room
from tasks.sets import bring_set, bring_version, user_name


@room("publish")
def publish(
    facts: SetFacts, selected: SelectionRef, report: ReportRef, snapshot: SnapshotRef, *, fingerprint: str
) -> NegativeSetRef:
    """Publish `selected`, which `report` let pass, and point LATEST to it."""
    store, place = Place().open_store(), Place()
    folder = store.open(selected.kind, selected.fingerprint)
    counts = selection_counts(store, selected)
    draft = Draft(
        folder=folder,
        gates=store.open(report.kind, report.fingerprint),
        facts=facts,
        counts=counts,
        selection=selection_folder(folder),
        snapshot=open_snapshot(store, snapshot),
        rows_sha256=selection_digests(store, selected),
        signing_key=place.signing_key,
    )
    by, at = user_name(), datetime.now(UTC)
    published = publish_set(draft, place.sets_folder(), by=by, at=at)
    shared = place.shared_sets()
    if shared is not None:
        share_version(shared, Path(published.path), by=by, at=at, write=_attempt())
        bring_set(place, facts.dataset)
    report_lineage(place, Path(published.path), at)
    write_durably(_record(store, fingerprint), published.fingerprint.encode())
    if TaskRunContext.get() is not None:
        _show(facts, counts, published)
    return published


def is_published(store: Store, place: Place, dataset: str, fingerprint: str) -> bool:
    """Say whether the publication of this `fingerprint` took place and LATEST still points to it.

    Of shared sets, LATEST is what the working copy says: bring it first.
    """
    record = _record(store, fingerprint)
    home = place.sets_folder() / dataset
    if not record.exists():
        return False
    version = record.read_text()
    return read_latest(home) == version and (home / "versions" / version / "manifest.json").exists()


def point_back(place: Place, dataset: str, version: str) -> None:
    """Point LATEST of `dataset` to an earlier `version`."""
    home, shared = place.sets_folder() / dataset, place.shared_sets()
    digest = file_digest(bring_version(place, dataset, version) / MANIFEST)
    if shared is None:
        point_to(home, version, digest, by=user_name(), at=datetime.now(UTC))
    else:
        move_latest(shared, dataset, version, digest, by=user_name(), at=datetime.now(UTC))
        bring_set(place, dataset)


def _attempt() -> str:
    """Name what is tried again when the store did not answer: the run of this task, the same in each of its retries."""
    context = TaskRunContext.get()
    return str(context.task_run.id) if context is not None else ""


def _record(store: Store, fingerprint: str) -> Path:
    folder = store.root / "publication"
    make_folder(folder)
    return folder / fingerprint


def _show(facts: SetFacts, counts: SetCounts, published: NegativeSetRef) -> None:
    """Put the set's page and counts into Prefect's UI."""
    page = Path(published.path) / "report.html"
    create_link_artifact(link=page.as_uri(), link_text=f"{facts.dataset} {published.fingerprint}", key="negset-page")
    funnel = counts.candidates
    rows = [
        {"candidates": "mined", "count": funnel.mined},
        {"candidates": "known positives", "count": funnel.positives},
        *({"candidates": f"rejected by {rule}", "count": count} for rule, count in funnel.rejected.items()),
        {"candidates": "not sampled", "count": funnel.not_sampled},
        {"candidates": "chosen", "count": funnel.chosen},
    ]
    create_table_artifact(table=rows, key="negset-candidates", description=f"Candidates of {facts.dataset}")
    queries = counts.queries
    dropped = "".join(f"- dropped, {reason}: {count:,}\n" for reason, count in queries.dropped.items())
    text = f"# {facts.dataset} {published.fingerprint}\n- kept: {queries.kept:,}\n- short: {queries.short:,}\n{dropped}"
    create_markdown_artifact(markdown=text, key="negset-queries")
