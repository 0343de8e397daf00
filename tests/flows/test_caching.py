"""A room runs once for a fingerprint; a record without its artifact is not believed; only passing faults retry."""

from pathlib import Path

import pytest
from prefect import flow

from negset.errors import ConfigError, TransientError
from negset.store import Store
from schemas.refs import SnapshotRef
from tasks.policies import RefSerializer, is_stored, room, through_cache

pytestmark = pytest.mark.flow


@room("count")
def count(root: Path, *, fingerprint: str) -> SnapshotRef:
    store = Store(root)
    with store.staging() as folder:
        (folder / "rows.txt").write_text("1")
        (root / "calls").open("a").write("x")
        return store.commit(SnapshotRef, fingerprint, "c", 1, folder)


@flow(name="caching")
def caching(root: Path, fingerprint: str) -> tuple[str, SnapshotRef]:
    there = is_stored(Store(root), SnapshotRef, fingerprint)
    state = through_cache(count, there)(root, fingerprint=fingerprint, return_state=True)
    return state.name, state.result()


def test_a_room_runs_once_and_again_when_its_artifact_is_gone(prefect_server, tmp_path):
    (tmp_path / "calls").touch()
    ref = SnapshotRef(fingerprint="f1", content="c", rows=1)
    assert caching(tmp_path, "f1") == ("Completed", ref)
    assert caching(tmp_path, "f1") == ("Cached", ref)

    (Store(tmp_path).folder("snapshot", "f1") / "rows.txt").unlink()
    assert caching(tmp_path, "f1") == ("Completed", ref)
    assert caching(tmp_path, "f2")[0] == "Completed"
    assert (tmp_path / "calls").read_text() == "xxx"


def test_a_passing_fault_is_retried_and_a_wrong_request_is_not(prefect_server, tmp_path):
    tried = []

    @room("shaky")
    def shaky(error: str, *, fingerprint: str) -> SnapshotRef:
        tried.append(error)
        if error == "transient" and len(tried) < 3:
            raise TransientError("the service is busy")
        if error == "config":
            raise ConfigError("no such file")
        return SnapshotRef(fingerprint=fingerprint, content="c", rows=0)

    @flow(name="shaky")
    def run(error: str, fingerprint: str) -> SnapshotRef:
        return shaky.with_options(retry_delay_seconds=0)(error, fingerprint=fingerprint)

    assert run("transient", str(tmp_path / "a")).rows == 0
    assert tried == ["transient"] * 3
    tried.clear()
    with pytest.raises(ConfigError, match="no such file"):
        run("config", str(tmp_path / "b"))
    assert tried == ["config"]


def test_a_record_is_plain_json():
    ref = SnapshotRef(fingerprint="f", content="c", rows=2)
    record = RefSerializer().dumps(ref)
    assert record == b'{"content":"c","fingerprint":"f","ref":"snapshot","rows":2}'
    assert RefSerializer().loads(record) == ref


def test_the_record_of_a_failure_is_no_reference():
    record = RefSerializer().dumps(ConfigError("no such file"))
    assert record == b'{"failed":"ConfigError","message":"no such file"}'
    with pytest.raises(KeyError):
        RefSerializer().loads(record)


@pytest.mark.parametrize("record", [b'{"ref":"os.system"}', b'{"__class__":"os.system","ref":"snapshot"}', b"\x80\x04"])
def test_a_record_that_is_no_reference_is_refused(record):
    with pytest.raises((KeyError, ValueError)):
        RefSerializer().loads(record)
