"""One build by different workers: the same version id, also where a worker is killed in the middle of its part."""

import importlib
import os
import signal
from pathlib import Path

import pytest

from negset.configuration import load_build_config
from negset.errors import EnvironmentFault
from negset.store import Store
from schemas.refs import CellsRef
from tests.conftest import write_beir

pytestmark = pytest.mark.flow

PARTS = """
name = "small"
[source]
format = "beir"
path = "beir"
partitions = 3
[encoder]
backend = "hashing"
dimensions = 16
shard_size = 20
[mine]
miners = ["dense"]
depth = 20
query_block = 8
splits = ["train"]
[recipe]
name = "naive"
negatives = 3
[runner]
pairs_per_task = 1
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Give a folder with the build file of a small collection in six cells and five shards of vectors."""
    folder = tmp_path_factory.mktemp("runners")
    write_beir(folder / "beir")
    (folder / "build.toml").write_text(PARTS)
    return folder


@pytest.fixture(scope="module")
def alone(world, prefect_server) -> str:
    """Give the version id that one process builds."""
    with pytest.MonkeyPatch.context() as patch:
        return built(world, "alone", patch)


def built(world: Path, home: str, monkeypatch, *changes: str) -> str:
    from flows.build import build

    monkeypatch.setenv("NEGSET_HOME", str(world / home))
    for name in ("NEGSET_STORE", "NEGSET_SETS"):
        monkeypatch.delenv(name, raising=False)
    return build(load_build_config(world / "build.toml", changes)).fingerprint


def cells(home: Path) -> dict[str, object]:
    store = Store(home / "store")
    found = [store.manifest(CellsRef.kind, name).facts for name in store.names(CellsRef.kind)]
    return {str(facts["miner"]): (facts["mined"], facts["scored"]) for facts in found}


def test_threads_build_what_one_process_builds(prefect_server, world, alone, monkeypatch):
    assert built(world, "threads", monkeypatch, "runner.kind=threads", "runner.workers=3") == alone
    assert cells(world / "threads") == cells(world / "alone")
    assert cells(world / "alone")["dense"][0] == 6


def test_a_cluster_that_loses_a_worker_builds_what_one_process_builds(
    prefect_server, world, alone, tmp_path, monkeypatch
):
    """A worker kills itself in the middle of a part: one cell is there, the others of the part are not."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed: pip install 'negset[dask]'")
    pytest.importorskip("prefect_dask", reason="prefect-dask is not installed: pip install 'negset[dask]'")
    died = tmp_path / "died"
    monkeypatch.setenv("NEGSET_HOME", str(world / "cluster"))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(dying_once(distributed.WorkerPlugin, str(died)))
        monkeypatch.setenv("NEGSET_CLUSTER", cluster.scheduler_address)
        options = ("runner.kind=dask", "runner.max_tasks=3", "resources.memory=2GB")
        together = built(world, "cluster", monkeypatch, *options)
    assert died.read_text().isdigit()
    assert together == alone
    assert cells(world / "cluster") == cells(world / "alone")


def dying_once(base: type, marker: str):
    """Give a plugin by which the first worker that fills cells dies after its first one."""

    class DyingOnce(base):
        def setup(self, worker) -> None:
            cells = importlib.import_module("negset.mining.cells")
            fill = cells.fill_cells

            def fill_and_die(inputs, miner, names, planes, store) -> None:
                try:
                    place = os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                except FileExistsError:
                    return fill(inputs, miner, names, planes, store)
                fill(inputs, miner, names[:1], planes, store)
                os.write(place, str(os.getpid()).encode())
                os.kill(os.getpid(), signal.SIGKILL)

            cells.fill_cells = fill_and_die

    return DyingOnce()


_WORK = """
import os
from pathlib import Path
from tasks.policies import part

@part("work")
def work(folder: str, name: str, threads: int) -> str:
    tries = Path(folder) / name
    with tries.open("a") as file:
        file.write("x")
    if name == "always" or (name == "once" and tries.stat().st_size == 1):
        os.kill(os.getpid(), 9)
    return f"{name} on {threads} with {os.environ['OMP_NUM_THREADS']}"
"""


def test_a_pool_of_processes_outlives_a_killed_one(prefect_server, tmp_path, monkeypatch):
    from prefect import flow

    from flows.runners.crew import open_crew
    from flows.runners.spreading import spread
    from schemas.config import BuildConfig
    from schemas.runner import NeedsConfig

    (tmp_path / "work_of_a_pool.py").write_text(_WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    work = importlib.import_module("work_of_a_pool").work
    config = BuildConfig(name="a", source={"format": "beir"}, runner={"kind": "processes", "workers": 1})

    @flow
    def spreading(*names: str) -> list[str]:
        with open_crew(config) as crew:
            return spread(crew, work, NeedsConfig(), [{"folder": str(tmp_path), "name": name} for name in names])

    assert spreading("first", "once", "last") == [f"{name} on 1 with 1" for name in ("first", "once", "last")]
    assert (tmp_path / "first").read_text() == "x"
    assert (tmp_path / "once").read_text() == "xx"
    with pytest.raises(EnvironmentFault, match="work: workers died 3 times over the same part"):
        spreading("always")
    assert (tmp_path / "always").read_text() == "xxx"
