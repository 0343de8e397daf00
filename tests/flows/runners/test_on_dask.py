"""What a task asks of a Dask worker, and which workers are refused."""

import pytest

pytest.importorskip("prefect_dask", reason="prefect-dask is not installed: pip install 'negset[dask]'")

from flows.runners.on_dask import asked_resources, check_workers
from negset.errors import ConfigError
from schemas.runner import NeedsConfig
from tasks.parts import Whereabouts, whereabouts


def test_nothing_is_asked_of_workers_that_declare_nothing():
    assert asked_resources(NeedsConfig(cpus=4), 10**9, [{}, {}]) == {}


def test_what_workers_declare_is_asked_of_them():
    declared = [{"CPU": 4.0, "MEMORY": 16e9}, {"CPU": 8.0, "MEMORY": 4e9, "GPU": 1.0}]
    assert asked_resources(NeedsConfig(cpus=4), 10**9, declared) == {"CPU": 4.0, "MEMORY": 1e9}
    assert asked_resources(NeedsConfig(gpus=1), 10**9, declared) == {"CPU": 1.0, "GPU": 1.0, "MEMORY": 1e9}


@pytest.mark.parametrize(
    ("needs", "memory", "declared"),
    [
        (NeedsConfig(gpus=1), 1, [{}]),
        (NeedsConfig(cpus=5), 1, [{"CPU": 4.0}]),
        (NeedsConfig(), 2 * 10**9, [{"MEMORY": 1e9}]),
        (NeedsConfig(cpus=4, gpus=1), 1, [{"CPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}]),  # each has one of the two
    ],
)
def test_what_no_worker_has_is_an_error_and_no_wait_for_ever(needs, memory, declared):
    with pytest.raises(ConfigError, match="no Dask worker has what a task asks for"):
        asked_resources(needs, memory, declared)


@pytest.mark.parametrize("what", ["version", "store", "sets"])
def test_a_worker_of_another_place_or_version_is_refused(what):
    here = Whereabouts(host="driver", store="/s", sets="/p", version="1")
    there = here.model_copy(update={"host": "far"})
    check_workers({"tcp://far:1": there}, here)
    with pytest.raises(ConfigError, match=f"tcp://far:1 on far has {what} other"):
        check_workers({"tcp://far:1": there.model_copy(update={what: "other"})}, here)


def test_whereabouts_name_folders_by_path_and_shared_stores_by_address(home, tmp_path, monkeypatch):
    assert whereabouts().store == str(home / "store")
    assert whereabouts().sets == str(home / "sets")
    addresses = tuple(f"file://{tmp_path}/{name}" for name in ("artifacts", "sets"))
    monkeypatch.setenv("NEGSET_STORE", addresses[0])
    monkeypatch.setenv("NEGSET_SETS", addresses[1])
    assert (whereabouts().store, whereabouts().sets) == addresses
