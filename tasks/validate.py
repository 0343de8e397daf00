"""Hold a selection to its gates. Nothing is published that did not pass here."""

import shutil
from importlib import import_module
from pathlib import Path

from negset.building import expectations, selection_counts, selection_folder, source_counts
from negset.errors import ValidationFailed
from negset.gates.checking import against_previous, content_checks
from negset.snapshot import open_snapshot
from negset.store import Store
from schemas.config import BuildConfig
from schemas.refs import ReportRef, SelectionRef, SnapshotRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress
from tasks.sets import bring_version


@room("validate")
def validate(
    config: BuildConfig, selected: SelectionRef, snapshot: SnapshotRef, previous: str | None, *, fingerprint: str
) -> ReportRef:
    """Check the staged bytes of `selected`, also against the published version `previous`.

    Raises ValidationFailed, keeping the report, where a gate says no.
    """
    store = Place().open_store()
    promises = expectations(config)
    with shown_progress("validate") as progress, store.staging() as staged:
        progress("gates", 0, len(promises))
        _check(config, selected, snapshot, previous, store, staged)
        progress("gates", len(promises), len(promises))
        return store.commit(ReportRef, fingerprint, fingerprint, len(promises), staged)


def _check(
    config: BuildConfig,
    selected: SelectionRef,
    snapshot: SnapshotRef,
    previous: str | None,
    store: Store,
    staged: Path,
) -> None:
    # Great Expectations takes seconds to import; a build whose verdict is cached does without.
    gates = import_module("tasks.gates")
    folder = store.open(selected.kind, selected.fingerprint)
    try:
        opened = open_snapshot(store, snapshot)
        candidates, counts = selection_folder(folder), selection_counts(store, selected)
        home = Place().sets_folder() / config.set_name
        if previous is not None:
            bring_version(Place(), config.set_name, previous)
        gates.check_set(
            folder,
            candidates,
            opened,
            expectations(config),
            staged,
            config.mine.splits,
            content=content_checks(config, folder, candidates, opened),
            drift=against_previous(config, folder, counts, source_counts(opened), home, previous),
        )
    except ValidationFailed as error:
        kept = Place().failures_folder() / f"{config.set_name.replace('/', '-')}-{selected.fingerprint[:12]}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(staged, kept)
        message = f"{error}. The full report: {kept}"
        raise ValidationFailed(message) from error
