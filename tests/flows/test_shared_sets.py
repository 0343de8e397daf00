"""Published sets in a bucket: two machines publish one line of versions, anybody reads it by address."""

import pytest

from benchmarks import fault_proxy as faults
from flows.build import build
from flows.cli import main
from negset.configuration import load_build_config
from negset.publishing.moves import read_moves
from negset.publishing.reading import read_latest
from negset.shards import ShardRef
from tasks.place import Place

pytestmark = pytest.mark.flow


@pytest.fixture
def machine(prefect_server, home, bucket, monkeypatch):
    """Give a function that goes on as the machine of this name, with a folder of its own and the one bucket."""
    monkeypatch.setenv("NEGSET_SETS", bucket.address)

    def choose(name):
        monkeypatch.setenv("NEGSET_HOME", str(home / name))

    return choose


def test_two_machines_publish_one_line(machine, bucket, build_file, home, capsys):
    first, other = load_build_config(build_file), load_build_config(build_file, ["seed=14"])
    machine("one")
    bucket.inject(faults.LOST, faults.SLOW_DOWN, faults.ERROR_AFTER, only="PUT")
    made = build(first)
    assert bucket.proxy.injected.total() == 3
    machine("two")
    assert build(first).fingerprint == made.fingerprint
    second = build(other)
    assert second.fingerprint != made.fingerprint
    assert read_latest(Place().sets_folder() / first.name) == second.fingerprint
    machine("one")
    assert build(first).fingerprint == made.fingerprint
    line = [(move.entry.n, move.entry.id, move.entry.parent) for move in read_moves(bucket.open(), first.name)]
    assert line == [
        (1, made.fingerprint, None),
        (2, second.fingerprint, made.fingerprint),
        (3, made.fingerprint, second.fingerprint),
    ]

    machine("reader")
    address = f"{bucket.address}/{first.name}"
    assert main(["verify", address]) == 0
    assert f"{address}: version {made.fingerprint} is whole" in capsys.readouterr().out
    assert main(["show", f"{address}/versions/{second.fingerprint}"]) == 0
    assert second.fingerprint in capsys.readouterr().out
    assert main(["show", f"{bucket.address}/absent"]) == 4
    assert "holds no negative set" in capsys.readouterr().err
    assert not list((home / "reader").rglob("staging/*"))


def test_machines_share_what_was_made_and_train_on_it(machine, bucket, build_file, home, monkeypatch, capsys):
    monkeypatch.setenv("NEGSET_STORE", f"{bucket.address}/artifacts")
    machine("one")
    made = build(load_build_config(build_file))
    shared = [one.key for one in bucket.open().listed()]
    machine("two")
    again = build(load_build_config(build_file))
    assert again.fingerprint == made.fingerprint
    assert [one.key for one in bucket.open().listed()] == shared
    kinds = {folder.name for folder in next((home / "two" / "artifacts").iterdir()).iterdir()}
    assert ShardRef.kind not in kinds  # what need not be opened is not brought

    machine("trainer")
    address = f"{bucket.address}/{load_build_config(build_file).name}"
    assert main(["train", address, "--set", "epochs=1", "--set", "batch_size=8", "--set", "dimensions=16"]) == 0
    assert "nDCG" in capsys.readouterr().out
