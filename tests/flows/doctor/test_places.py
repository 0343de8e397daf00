"""What the doctor says of folders and object stores."""

import fcntl
from pathlib import Path

import pytest

from flows.doctor import places
from flows.doctor.places import check_disk, check_folders, check_home, check_objects, clock
from negset.errors import ConflictError
from negset.objects.folder import FolderObjects
from tasks.place import Place


def test_a_good_folder_is_tried_and_left_as_it_was(home):
    home.mkdir()
    said = list(check_folders(Place()))
    assert [one.verdict for one in said] == ["ok"] * 3
    assert "tried in" in said[0].found  # the store is not there yet, and is not made
    assert list(home.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_a_failure(home):
    home.write_text("no folder")
    assert {(one.verdict, one.found) for one in check_folders(Place())} == {("fail", f"{home} is a file")}
    assert len(list(check_disk(Place(), None, None))) == 1


def test_a_folder_without_locks_is_a_failure(home, monkeypatch):
    home.mkdir()
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert {one.verdict for one in check_folders(Place())} == {"fail"}
    assert all("flock" in one.found for one in check_folders(Place()))


def test_a_folder_whose_renames_replace_is_a_failure(home, monkeypatch):
    home.mkdir()

    def replacing(staged: Path, target: Path) -> bool:
        import shutil

        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)
        return True

    monkeypatch.setattr(places, "rename_folder", replacing)
    assert {one.found.endswith("a rename replaced a folder that was not empty") for one in check_folders(Place())} == {
        True
    }


def test_a_folder_that_takes_nothing_is_a_failure(home, monkeypatch):
    home.mkdir()

    def refuse(path, data):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(places, "write_durably", refuse)
    assert {one.verdict for one in check_folders(Place())} == {"fail"}
    assert list(home.iterdir()) == []


def test_a_relative_home_is_no_home_for_a_worker(monkeypatch):
    monkeypatch.setenv("NEGSET_HOME", ".negset")
    (relative,) = check_home(Place())
    assert (relative.verdict, relative.mend.startswith("export NEGSET_HOME=/")) == ("warn", True)
    monkeypatch.setenv("NEGSET_HOME", "/srv/negset")
    assert [one.verdict for one in check_home(Place())] == ["ok"]


def test_a_disk_that_is_too_small_for_the_build_is_a_failure(home, monkeypatch):
    home.mkdir()
    monkeypatch.setattr(places, "plan_disk", lambda config, store: 10**18)
    (one,) = check_disk(Place(), "a build", "a store")
    assert (one.verdict, "take about 1000000000.0 GB" in one.found) == ("fail", True)
    # Without a build that is known nothing is said of what is needed.
    (one,) = check_disk(Place(), None, None)
    assert "take about" not in one.found


def test_an_object_store_is_tried_and_its_sets_are_not_touched(tmp_path, home, monkeypatch):
    monkeypatch.setenv("NEGSET_SETS", (tmp_path / "shared").as_uri())
    FolderObjects(tmp_path / "shared").put_once("news/versions/1/manifest.json", b"{}")
    for _ in range(2):
        assert [one.verdict for one in check_objects(Place())] == ["ok", "ok"]
    left = {path.relative_to(tmp_path / "shared").as_posix() for path in (tmp_path / "shared").rglob("*")}
    assert {name for name in left if name.startswith("news/")} == {
        "news/versions",
        "news/versions/1",
        "news/versions/1/manifest.json",
    }


class Careless(FolderObjects):
    """A store that takes every swap."""

    def swap(self, pointer, expected, new):
        (self.root / pointer).parent.mkdir(parents=True, exist_ok=True)
        (self.root / pointer).write_text(new)


class Forgetful(FolderObjects):
    """A store that lets an object be created twice."""

    def put_once(self, key, data):
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Careless, "replaced by a write that expected something else"), (Forgetful, "ignores the conditions of writes")],
)
def test_a_store_that_ignores_conditions_is_a_failure(tmp_path, kind, said):
    (one,) = places._objects("NEGSET_SETS", kind(tmp_path))
    assert (one.verdict, said in one.found) == ("fail", True)


def test_somebody_else_at_the_pointer_is_no_failure(tmp_path):
    class Contended(FolderObjects):
        def swap(self, pointer, expected, new):
            super().swap(pointer, expected, "theirs") if self.read(pointer) == expected else None
            raise ConflictError("somebody else was first")

    assert places._try_swap(Contended(tmp_path)) == ""


def test_a_bucket_behind_a_wrong_key_is_a_failure(bucket, monkeypatch, home):
    monkeypatch.setenv("NEGSET_SETS", "s3://no-such-bucket/sets")
    said = list(check_objects(Place()))
    assert [one.verdict for one in said] == ["fail"]
    assert "credentials" in said[0].mend


def test_a_bucket_is_tried(bucket, monkeypatch, home):
    monkeypatch.setenv("NEGSET_STORE", bucket.address)
    assert [(one.name, one.verdict) for one in check_objects(Place())] == [
        ("NEGSET_STORE", "ok"),
        ("clock of NEGSET_STORE", "ok"),
    ]


@pytest.mark.parametrize(("ahead", "verdict"), [(0.2, "ok"), (6, "warn"), (-6, "warn"), (301, "fail"), (-301, "fail")])
def test_clocks(ahead, verdict):
    assert clock("clock", ahead).verdict == verdict
