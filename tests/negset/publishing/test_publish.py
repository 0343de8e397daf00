import errno
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from negset.errors import ArtifactError, ContractError, EnvironmentFault, ValidationFailed
from negset.publishing import publish
from negset.publishing.publish import publish_set, read_history
from negset.publishing.reading import read_latest
from negset.publishing.verify import verify_set
from negset.store import stored_files

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def published_to(draft, root, at=AT):
    return publish_set(draft, root, by="ada", at=at)


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_version_is_whole_and_latest_points_to_it(draft, tmp_path):
    (draft.gates / "manifest.json").write_text("of the store")
    ref = published_to(draft, tmp_path)
    home = tmp_path / "tiny"
    assert sorted(path.name for path in (Path(ref.path) / "validation").iterdir()) == ["data_docs", "validation.json"]
    assert (home / "LATEST").read_text() == f"{ref.fingerprint}\n"
    assert Path(ref.path) == home / "versions" / ref.fingerprint
    assert ref.rows == 7
    report = verify_set(home)
    assert (report.id, report.files) == (ref.fingerprint, 10)
    history = read_history(home)
    assert [(entry.n, entry.id, entry.parent, entry.by) for entry in history] == [(1, ref.fingerprint, None, "ada")]
    assert history[0].sha256.startswith(ref.fingerprint)
    assert not list((home / "staging").iterdir())


def test_a_rebuild_gives_the_same_id_and_touches_nothing(tiny_set, draft, tmp_path):
    first = published_to(draft, tmp_path / "sets")
    before = tree(tmp_path / "sets" / "tiny" / "versions")
    again = tiny_set.draft_of(tiny_set.stage(tmp_path / "again", parts=3))
    second = published_to(again, tmp_path / "sets", AT + timedelta(days=1))
    assert second == first
    assert tree(tmp_path / "sets" / "tiny" / "versions") == before
    assert len(read_history(tmp_path / "sets" / "tiny")) == 1


def test_only_bag_and_provenance_say_when_and_by_whom(tiny_set, draft, tmp_path):
    first = published_to(draft, tmp_path / "one")
    other = tiny_set.draft_of(tiny_set.stage(tmp_path / "again"))
    second = publish_set(other, tmp_path / "two", by="bob", at=AT + timedelta(days=400))
    files = [{file.path: file.sha256 for file in stored_files(Path(ref.path))} for ref in (first, second)]
    changed = {name for name in files[0] if files[0][name] != files[1][name]}
    assert changed == {"bag-info.txt", "tagmanifest-sha256.txt", "provenance.intoto.json"}


def test_latest_moves_to_what_was_published_last_and_back(tiny_set, draft, tmp_path):
    root, home = tmp_path / "sets", tmp_path / "sets" / "tiny"
    first = published_to(draft, root).fingerprint
    other = tiny_set.draft_of(tiny_set.stage(tmp_path / "other"), description="another")
    second = published_to(other, root).fingerprint
    assert read_latest(home) == second != first
    published_to(draft, root)
    moves = [(entry.n, entry.id, entry.parent) for entry in read_history(home)]
    assert moves == [(1, first, None), (2, second, first), (3, first, second)]
    assert read_latest(home) == first
    verify_set(home / "versions" / second)


def test_nothing_is_published_without_the_gates(draft, tmp_path):
    (draft.gates / "validation.json").unlink()
    with pytest.raises(ValidationFailed, match="nothing is published"):
        published_to(draft, tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize("changes", [{"evaluated": 0}, {"failing": True}])
def test_nothing_is_published_that_did_not_pass(tiny_set, draft, tmp_path, changes):
    report = tiny_set.gate_report(draft.folder)
    if changes.pop("failing", False):
        changes = {"checks": (report.checks[0].model_copy(update={"passed": False}),)}
    (draft.gates / "validation.json").write_text(report.model_copy(update=changes).model_dump_json())
    with pytest.raises(ValidationFailed, match="did not pass"):
        published_to(draft, tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


def test_what_changed_after_validation_is_not_published(draft, tmp_path):
    path = draft.folder / "data" / "ntuples" / "extra" / "part-00000.parquet"
    path.parent.mkdir()
    path.write_bytes((draft.folder / "data/ntuples/train/part-00000.parquet").read_bytes())
    counts = draft.counts.model_copy(
        update={"rows_by_split": {**draft.counts.rows_by_split, "ntuples": {"train": 2, "test": 1, "extra": 2}}}
    )
    changed = publish.Draft(draft.folder, draft.gates, draft.facts, counts, draft.selection, draft.snapshot)
    with pytest.raises(ContractError, match=r"data/ntuples/extra/part-00000\.parquet changed after validation"):
        published_to(changed, tmp_path / "sets")


def test_a_damaged_version_of_the_same_id_is_reported_and_not_replaced(draft, tmp_path):
    ref = published_to(draft, tmp_path / "sets")
    path = Path(ref.path) / "data" / "queries" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"data/queries/part-00000\.parquet: has \d+ bytes"):
        published_to(draft, tmp_path / "sets")


STEPS = [
    "describe_set",
    "write_version",
    "write_bag",
    "write_tag_manifest",
    "flush",
    "write_durably",
    "rename_folder",
    "verify_set",
    "write_history",
    "swap",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_dying_at_any_step_leaves_the_old_version_to_readers(tiny_set, draft, tmp_path, monkeypatch, step, late):
    """A publisher killed before or after a step; then the next one finishes with the id of an undisturbed run."""
    root, home = tmp_path / "sets", tmp_path / "sets" / "tiny"
    old = published_to(draft, root).fingerprint
    new = tiny_set.draft_of(tiny_set.stage(tmp_path / "new"), description="new")
    undisturbed = published_to(new, tmp_path / "undisturbed").fingerprint
    real = getattr(publish, step)

    def dying(*args, **kwargs):
        if late:
            real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish, step, dying)
        with pytest.raises(KeyboardInterrupt):
            published_to(new, root)
    latest = read_latest(home)
    assert latest == (undisturbed if (step, late) == ("swap", True) else old)
    verify_set(home)
    assert all(verify_set(version).findings == () for version in (home / "versions").iterdir())
    assert published_to(new, root).fingerprint == undisturbed == read_latest(home)
    moves = [(entry.n, entry.id, entry.parent) for entry in read_history(home)]
    assert moves == [(1, old, None), (2, undisturbed, old)]


def test_leftovers_of_a_killed_publisher_disturb_nobody(draft, tmp_path):
    """kill -9 leaves its staging folder behind, with a manifest even."""
    left = tmp_path / "sets" / "tiny" / "staging" / "dead"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{")
    published_to(draft, tmp_path / "sets")
    verify_set(tmp_path / "sets" / "tiny")


def test_publishers_that_race_end_with_one_whole_version_each(tiny_set, tmp_path):
    """Two publish the same set, two another one, at once."""
    root = tmp_path / "sets"
    drafts = [
        tiny_set.draft_of(tiny_set.stage(tmp_path / f"draft{number}"), description=f"set {number % 2}")
        for number in range(4)
    ]
    start, refs, errors = threading.Barrier(4), [], []

    def run(draft):
        start.wait()
        try:
            refs.append(published_to(draft, root))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(draft,)) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    home = root / "tiny"
    assert errors == []
    versions = {ref.fingerprint for ref in refs}
    assert len(versions) == 2
    assert {path.name for path in (home / "versions").iterdir()} == versions
    assert all(verify_set(home / "versions" / version).findings == () for version in versions)
    history = read_history(home)
    assert [entry.n for entry in history] == list(range(1, len(history) + 1))
    assert [entry.parent for entry in history] == [None, *(entry.id for entry in history[:-1])]
    assert read_latest(home) == history[-1].id


def test_a_full_disk_is_said_so(draft, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publish.shutil, "copytree", full)
    with pytest.raises(EnvironmentFault, match="disk full"):
        published_to(draft, tmp_path / "sets")
    assert read_latest(tmp_path / "sets" / "tiny") is None
