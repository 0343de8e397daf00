"""Removing: what is kept of a set, and that nothing goes that came to be needed in between."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.cli import main
from negset.cleaning.collecting import Limits, collect, remove
from negset.cleaning.uses import in_use, read_uses, record_use, refs_in
from negset.cleaning.versions import versions_to_go
from negset.errors import ConflictError
from negset.publishing.publish import point_to
from negset.publishing.tags import set_tag
from negset.store import Store
from schemas.refs import CellRef, CellsRef, LedgerRefs, MiningRefs, SelectionRef, SnapshotRef

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IDS = [f"{digit}" * 16 for digit in range(6)]
LONG_AGO = 1_000_000_000.0
NARROW = Limits(keep=1, days=0)


def age(folder, seconds=LONG_AGO):
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds))


@pytest.fixture
def home(tmp_path):
    """Give the folder of a set with six versions, a month apart, all of them touched long ago."""
    place = tmp_path / "sets" / "tiny"
    for number, name in enumerate(IDS):
        (place / "versions" / name / "data").mkdir(parents=True)
        (place / "versions" / name / "data" / "rows").write_bytes(b"x" * 100)
        (place / "versions" / name / "manifest.json").write_text("{}")
        age(place / "versions" / name)
        point_to(place, name, name * 4, by="ada", at=NOW - timedelta(days=30 * (len(IDS) - number)))
    return place


def gone(home, **limits):
    asked = {"keep": 1, "days": 0, "grace": 3 * 86_400, **limits}
    return [IDS.index(name) for name in versions_to_go(home, NOW, **asked)]


def test_the_latest_and_what_it_came_after_stay(home):
    assert gone(home) == [0, 1, 2, 3]


def test_the_last_ones_the_young_and_the_tagged_stay(home):
    assert gone(home, keep=3) == [0, 1]  # 3, 4 and 5, and 2, which 3 is compared with
    assert gone(home, days=95) == [0, 1]
    set_tag(home, "paper", IDS[1])
    assert gone(home) == [2, 3]  # 0 is what the tagged one is compared with


def test_a_version_that_was_gone_back_to_stays(home):
    """By the order of their first publication it would be the oldest."""
    point_to(home, IDS[0], IDS[0] * 4, by="ada", at=NOW - timedelta(days=20))
    assert gone(home) == [1, 2, 3, 4]  # 5 is what the latest came after


def test_a_version_that_is_about_to_be_published_stays(home):
    fresh = home / "versions" / ("a" * 16)
    fresh.mkdir()
    age(fresh, NOW.timestamp() - 60)
    assert "a" * 16 not in versions_to_go(home, NOW, keep=1, days=0, grace=86_400)
    assert "a" * 16 in versions_to_go(home, NOW, keep=1, days=0, grace=0)


def test_removing_leaves_the_manifest_and_the_history(home, store):
    found = remove(store, home.parent, NARROW, lambda: NOW)
    assert sorted(Path(one.path).name for one in found.removals) == IDS[:4]
    assert sorted(path.name for path in (home / "versions").iterdir()) == IDS[4:]
    assert (home / "manifests" / IDS[0] / "manifest.json").read_text() == "{}"
    assert len((home / "history.jsonl").read_text().splitlines()) == 6
    assert [path.name for path in (store.root / "removed").iterdir()] == ["2026-06-01T000000+0000.json"]
    assert collect(store, home.parent, NARROW, NOW).removals == ()


def test_what_came_to_be_needed_in_between_stays(home, store):
    """The second look counts: trusting the first list would remove a version that somebody just went back to."""
    looks = []

    def now():
        looks.append(len(looks))
        if len(looks) == 2:
            (home / "LATEST").write_text(f"{IDS[2]}\n")
        return NOW

    remove(store, home.parent, NARROW, now)
    assert sorted(path.name for path in (home / "versions").iterdir()) == [IDS[1], IDS[2], IDS[4], IDS[5]]


def test_nothing_is_removed_while_a_build_runs(home, store):
    with in_use(store.root), pytest.raises(ConflictError, match="a build is using"):
        remove(store, home.parent, NARROW, lambda: NOW)
    assert len(list((home / "versions").iterdir())) == 6
    with in_use(store.root), in_use(store.root):  # builds do not wait for each other
        pass


def commit(store, ref, letter, facts=None):
    with store.staging() as staged:
        (staged / "data").write_bytes(b"x")
        made = store.commit(ref, letter * 64, letter * 64, 1, staged, facts)
    age(store.folder(ref.kind, letter * 64))
    return made


def artifacts(found):
    return sorted(Path(one.path).name[0] for one in found.removals if one.kind == "artifact")


def test_rooms_that_a_version_of_any_set_was_made_from_stay(home, store, tmp_path):
    asked = Limits(keep=1, days=0, unused_days=0)
    made = {letter: commit(store, SelectionRef, letter) for letter in "abcde"}
    for number in (4, 5):
        record_use(store.root, str(home), "tiny", IDS[number], [made["a"]])
    record_use(store.root, str(home), "tiny", IDS[0], [made["b"]])  # goes, and its artifacts with it
    other = tmp_path / "elsewhere" / "other"
    record_use(store.root, str(other), "other", IDS[0], [made["c"]])  # perhaps on a disk that is not mounted
    record_use(store.root, "s3://bucket/sets/far", "far", IDS[0], [made["d"]])
    assert artifacts(collect(store, home.parent, asked, NOW)) == ["b", "e"]
    (other / "versions").mkdir(parents=True)  # the disk is there, and the version is not on it
    assert artifacts(collect(store, home.parent, asked, NOW)) == ["b", "c", "e"]
    assert artifacts(collect(store, home.parent, NARROW, NOW)) == []


def test_rooms_stay_where_a_version_does_not_say_what_it_was_made_from(home, store):
    commit(store, SelectionRef, "a")
    found = collect(store, home.parent, Limits(keep=1, days=0, unused_days=0), NOW)
    assert artifacts(found) == []
    assert "2 versions, such as" in found.note


def test_orphans_and_leftovers_go_with_versions(home, store):
    commit(store, CellsRef, "a", {"cells": [[0, "p", "b" * 64]]})
    commit(store, CellRef, "b")
    commit(store, CellRef, "c")
    for root, when in ((store.root, LONG_AGO), (home, LONG_AGO), (home, NOW.timestamp())):
        left = root / "staging" / f"left{when}"
        left.mkdir(parents=True)
        age(left, when)
    found = remove(store, home.parent, Limits(), lambda: NOW)
    assert artifacts(found) == ["c"]
    assert sum(one.kind == "staging" for one in found.removals) == 2
    assert store.find(CellRef.kind, "b" * 64) is not None
    assert store.find(CellRef.kind, "c" * 64) is None


def test_every_reference_of_a_ledger_is_written_down(store, tmp_path):
    named = {"fingerprint": "a" * 64, "content": "b", "rows": 1}
    refs = LedgerRefs(
        mining=MiningRefs(snapshot=SnapshotRef(**named)), cells={"dense": CellsRef(**named), "bm25": CellsRef(**named)}
    )
    record_use(store.root, str(tmp_path), "tiny", IDS[0], refs_in(refs))
    record_use(store.root, str(tmp_path), "tiny", IDS[0], [SelectionRef(**named)])
    assert [use.artifacts for use in read_uses(store.root)] == [
        (("cells", "a" * 64), ("selection", "a" * 64), ("snapshot", "a" * 64))
    ]


def test_the_command_says_first_and_removes_when_it_is_told(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEGSET_HOME", str(tmp_path))
    for name in ("NEGSET_STORE", "NEGSET_SETS", "NEGSET_RUNS"):
        monkeypatch.delenv(name, raising=False)
    narrow = ["--keep", "1", "--days", "0"]
    before = sorted(path for path in tmp_path.rglob("*"))
    assert main(["gc", *narrow, "--json", str(tmp_path.parent / "going.json")]) == 0
    assert "4 folders, 0.0 MB, may go; negset gc --delete removes them" in capsys.readouterr().out
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert main(["gc", *narrow, "--delete"]) == 0
    assert len(list((home / "versions").iterdir())) == 2
    assert main(["gc", *narrow]) == 0
    assert "nothing may go" in capsys.readouterr().out
    assert main(["gc", "--keep", "0"]) == 2
    monkeypatch.setenv("NEGSET_SETS", "s3://bucket/sets")
    assert main(["gc"]) == 2


def test_a_fresh_build_has_nothing_that_may_go(select, build_file, tmp_path):
    """Every part that a real build writes is named by a room of it."""
    from negset.configuration import load_build_config

    store = Store(tmp_path / "store")
    select(load_build_config(build_file), store)
    later = datetime.now(UTC) + timedelta(days=100)
    assert collect(store, tmp_path / "none", Limits(), later).removals == ()
