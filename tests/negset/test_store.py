"""The store: whole or absent, checked on opening, never half."""

import errno
import os
import subprocess
import sys

import pytest

from negset.errors import ArtifactError, ConflictError, EnvironmentFault
from negset.store import ABANDONED_AFTER, MANIFEST, Store, locked, storage_fault, swap, write_durably
from schemas.refs import SnapshotRef


def _commit(store: Store, text: str = "rows", fingerprint: str = "f1") -> SnapshotRef:
    with store.staging() as folder:
        (folder / "data").mkdir()
        (folder / "data" / "part.txt").write_text(text)
        return store.commit(SnapshotRef, fingerprint, "c1", 3, folder, {"seen": 3})


def test_what_is_committed_is_found_with_its_facts(store):
    ref = _commit(store)
    assert ref == SnapshotRef(fingerprint="f1", content="c1", rows=3)
    assert store.ref(SnapshotRef, "f1") == ref
    assert store.manifest("snapshot", "f1").facts == {"seen": 3}
    assert (store.open("snapshot", "f1") / "data" / "part.txt").read_text() == "rows"
    assert list((store.root / "staging").iterdir()) == []


def test_no_manifest_no_artifact(store):
    _commit(store)
    (store.folder("snapshot", "f1") / MANIFEST).unlink()
    assert store.find("snapshot", "f1") is None
    with pytest.raises(ArtifactError, match="no snapshot f1"):
        store.open("snapshot", "f1")


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_named_and_replaced_by_the_next_commit(store, damage):
    _commit(store)
    path = store.folder("snapshot", "f1") / "data" / "part.txt"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("row" if damage == "cut" else "rowt")
    with pytest.raises(ArtifactError, match=r"part\.txt"):
        store.open("snapshot", "f1")
    _commit(store)
    assert (store.open("snapshot", "f1") / "data" / "part.txt").read_text() == "rows"


def test_the_second_writer_of_an_artifact_drops_its_copy(store):
    first = _commit(store)
    inode = (store.folder("snapshot", "f1") / "data" / "part.txt").stat().st_ino
    assert _commit(store) == first
    assert (store.folder("snapshot", "f1") / "data" / "part.txt").stat().st_ino == inode


def _fill_the_disk(store: Store) -> None:
    with store.staging() as folder:
        (folder / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_failure_while_staging_leaves_nothing(store):
    with pytest.raises(EnvironmentFault, match="disk full"):
        _fill_the_disk(store)
    assert list((store.root / "staging").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(EnvironmentFault, match=r"cannot write .*taken"):
        _commit(Store(tmp_path / "taken" / "store"))
    with pytest.raises(EnvironmentFault, match=r"cannot write .*taken"), locked(tmp_path / "taken" / ".lock"):
        pass


def test_what_a_kill_left_is_cleared_days_later(store):
    left, fresh = store.root / "staging" / "dead", store.root / "staging" / "alive"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
        (folder / "part").write_text("x")
    days_ago = left.stat().st_mtime - ABANDONED_AFTER - 60
    os.utime(left, (days_ago, days_ago))
    _commit(store)
    assert list((store.root / "staging").iterdir()) == [fresh]


def test_a_pointer_moves_only_from_what_was_expected(tmp_path):
    pointer = tmp_path / "LATEST"
    swap(pointer, None, "v1")
    swap(pointer, "v1", "v2")
    with pytest.raises(ConflictError, match="says v2, expected v1"):
        swap(pointer, "v1", "v3")
    assert pointer.read_text() == "v2\n"


_HOLDER = """
import os, pathlib, signal, sys
from negset.store import locked
with locked(pathlib.Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lock_dies_with_its_holder(tmp_path):
    holder = subprocess.run([sys.executable, "-c", _HOLDER, str(tmp_path / ".lock")], check=False)
    with locked(tmp_path / ".lock"):
        assert holder.returncode == -9


def test_writing_durably_leaves_no_temporary_file(tmp_path):
    write_durably(tmp_path / "a", b"1")
    write_durably(tmp_path / "a", b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(EnvironmentFault, match="cannot write"):
        write_durably(tmp_path / "missing" / "a", b"1")


def test_a_full_disk_says_what_to_do(tmp_path):
    assert "Free space" in str(storage_fault(OSError(errno.ENOSPC, "full"), tmp_path / "a"))
    assert storage_fault(OSError(errno.EIO, "I/O error"), tmp_path / "a").exit_code == 4
