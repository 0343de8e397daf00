"""A store of artifacts that several machines share: each of them reads and finishes what the others made."""

import json

import pytest

from benchmarks import fault_proxy as faults
from negset.errors import ArtifactError, TransientError
from negset.objects import artifacts
from negset.objects.artifacts import ObjectArtifacts
from negset.objects.folder import FolderObjects
from negset.objects.patience import Patience
from negset.pins import read_pin, set_pin
from negset.store import Store
from schemas.config import Bm25Config
from schemas.refs import SnapshotRef


def commit(store, text="rows", fingerprint="f1", content="c1"):
    with store.staging() as folder:
        (folder / "data").mkdir()
        (folder / "data" / "part.txt").write_text(text)
        (folder / "empty").write_bytes(b"")
        return store.commit(SnapshotRef, fingerprint, content, 3, folder, {"seen": 3})


def text(store, fingerprint="f1"):
    return (store.open("snapshot", fingerprint) / "data" / "part.txt").read_text()


@pytest.fixture
def machine(objects, tmp_path):
    """Give the store of a machine of this name."""
    return lambda name: Store(tmp_path / name, ObjectArtifacts(objects))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(artifacts, "PIECE", 3)


def test_what_one_machine_made_another_finds_and_opens(machine, tmp_path):
    made = commit(machine("one"), "ten bytes!")
    two = machine("two")
    assert two.ref(SnapshotRef, "f1") == made
    assert two.manifest("snapshot", "f1").facts == {"seen": 3}
    assert not (tmp_path / "two" / "snapshot").exists()
    assert text(two) == "ten bytes!"
    assert (two.folder("snapshot", "f1") / "empty").read_bytes() == b""
    here, there = (machine(name).folder("snapshot", "f1") / "manifest.json" for name in ("one", "two"))
    assert here.read_bytes() == there.read_bytes()
    assert machine("three").held("snapshot", "f1") == tmp_path / "three" / "snapshot" / "f1"
    assert machine("three").names("snapshot", "f") == ["f1"]
    assert machine("three").names("snapshot", "g") == []


def test_what_is_nowhere_is_not_found(machine):
    assert machine("one").find("snapshot", "f1") is None
    with pytest.raises(ArtifactError, match="no snapshot f1"):
        machine("one").open("snapshot", "f1")


def test_of_two_that_made_it_the_first_counts(machine, objects, tmp_path):
    alone = Store(tmp_path / "two")
    commit(alone, "mine", content="c2")
    first = commit(machine("one"), "theirs")
    assert commit(machine("two"), "mine", content="c2") == first
    assert text(machine("two")) == "theirs"
    assert text(machine("three")) == "theirs"


def test_what_was_made_alone_is_shared_when_it_is_found(machine, tmp_path):
    commit(Store(tmp_path / "one"))
    assert machine("two").find("snapshot", "f1") is None
    assert machine("one").find("snapshot", "f1") is not None
    assert text(machine("two")) == "rows"


def test_what_is_here_and_shared_asks_the_store_nothing(bucket, tmp_path):
    store = Store(tmp_path / "one", ObjectArtifacts(bucket.open(Patience())))
    commit(store)
    before = bucket.proxy.requests
    assert store.find("snapshot", "f1") is not None
    assert text(store) == "rows"
    assert bucket.proxy.requests == before


def test_many_that_are_nowhere_cost_one_request_and_what_is_opened_is_never_missed(bucket, tmp_path):
    one, two = (Store(tmp_path / name, ObjectArtifacts(bucket.open(Patience()))) for name in ("one", "two"))
    before = bucket.proxy.requests
    assert [two.find("snapshot", f"f{number}") for number in range(50)] == [None] * 50
    assert bucket.proxy.requests == before + 1
    commit(one)
    assert text(two) == "rows"
    assert two.names("snapshot") == ["f1"]
    assert two.find("snapshot", "f1") is not None


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damage_here_is_mended_from_there(machine, damage):
    commit(machine("one"))
    path = machine("one").folder("snapshot", "f1") / "data" / "part.txt"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("row" if damage == "cut" else "rowt")
    assert machine("one").find("snapshot", "f1") is not None
    assert text(machine("one")) == "rows"


def test_damage_there_is_named_and_not_taken(tmp_path):
    objects = FolderObjects(tmp_path / "objects")
    commit(Store(tmp_path / "one", ObjectArtifacts(objects)))
    record = json.loads(objects.get("snapshot/f1.json"))
    piece = tmp_path / "objects" / "pieces" / record["pieces"]["data/part.txt"][0]
    piece.write_bytes(b"roX")
    two = Store(tmp_path / "two", ObjectArtifacts(objects))
    with pytest.raises(ArtifactError, match=r"pieces/.*damaged"):
        two.open("snapshot", "f1")
    assert not two.folder("snapshot", "f1").exists()
    record["pieces"]["data/part.txt"] = record["pieces"]["data/part.txt"][1:]
    (tmp_path / "objects" / "snapshot" / "f1.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=r"data/part\.txt are not the file"):
        two.open("snapshot", "f1")


def test_a_file_that_leads_out_of_its_folder_is_refused(tmp_path):
    objects = FolderObjects(tmp_path / "objects")
    commit(Store(tmp_path / "one", ObjectArtifacts(objects)))
    place = tmp_path / "objects" / "snapshot" / "f1.json"
    place.write_text(place.read_text().replace("data/part.txt", "../../evil.txt"))
    with pytest.raises(ArtifactError, match=r"names '\.\./\.\./evil\.txt'"):
        Store(tmp_path / "two", ObjectArtifacts(objects)).open("snapshot", "f1")
    assert not list((tmp_path / "two").rglob("evil.txt"))


class Dying:
    """A store of objects that dies before its write numbered `last`."""

    def __init__(self, objects, last):
        self.objects, self.last = objects, last

    def __getattr__(self, name):
        return getattr(self.objects, name)

    def put_once(self, *arguments):
        self.last -= 1
        if self.last < 0:
            message = "the machine lost its network"
            raise TransientError(message)
        self.objects.put_once(*arguments)


@pytest.mark.parametrize("last", range(3))
def test_a_machine_that_dies_while_sharing_leaves_nothing_half(tmp_path, last):
    objects = FolderObjects(tmp_path / "objects")
    with pytest.raises(TransientError):
        commit(Store(tmp_path / "one", ObjectArtifacts(Dying(objects, last))))
    assert Store(tmp_path / "two", ObjectArtifacts(objects)).find("snapshot", "f1") is None
    again = Store(tmp_path / "one", ObjectArtifacts(objects))
    assert again.find("snapshot", "f1") is not None
    assert text(Store(tmp_path / "two", ObjectArtifacts(objects))) == "rows"


def test_faults_change_nothing(bucket, tmp_path):
    bucket.inject_at_random((faults.LOST, faults.ERROR_AFTER, faults.CUT, faults.SLOW_DOWN, faults.REFUSED), 0.3, 7)
    for number in range(4):
        commit(Store(tmp_path / "one", ObjectArtifacts(bucket.open())), "0123456789", f"f{number}")
        assert text(Store(tmp_path / "two", ObjectArtifacts(bucket.open())), f"f{number}") == "0123456789"
    assert bucket.proxy.injected.total() > 10


def test_the_first_pin_of_all_machines_stays(machine):
    labelled = Bm25Config(pin="2024")
    assert read_pin(labelled, machine("one"), "news") == ""
    assert set_pin(labelled, machine("one"), "news", "aaa") == "aaa"
    assert read_pin(labelled, machine("two"), "news") == "aaa"
    assert set_pin(labelled, machine("three"), "news", "bbb") == "aaa"
    assert read_pin(labelled, machine("three"), "news") == "aaa"
    assert read_pin(Bm25Config(), machine("two"), "news") == ""
