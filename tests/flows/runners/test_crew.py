"""What a crew is made from: memory for each task, no engine before it is asked, and a cluster's conditions."""

import importlib
import sys
from concurrent.futures import Future
from contextlib import nullcontext

import pytest

from flows.runners.crew import alone, open_crew
from flows.runners.engine import Engine, open_engine
from flows.runners.machine import local_workers, worker_environment
from negset.errors import ConfigError, EnvironmentFault
from negset.mining.budget import memory_bytes
from schemas.config import BuildConfig
from schemas.runner import RunnerConfig
from tasks.policies import part


def config(memory: str = "", **runner) -> BuildConfig:
    return BuildConfig(name="a", source={"format": "beir"}, runner=runner, resources={"memory": memory})


def test_without_a_runner_nothing_is_cut_and_nothing_changed(home):
    with open_crew(config()) as crew:
        assert not crew.shares
        assert crew.config == config()


def test_tasks_share_the_memory_of_a_build(home):
    with open_crew(config(kind="processes", workers=4)) as crew:
        assert crew.shares
        assert not crew.remote
        assert memory_bytes(crew.config.resources.memory) == pytest.approx(memory_bytes("") / 4, rel=0.01)
    with open_crew(config("3GB", kind="processes", workers=4)) as crew:
        assert crew.config.resources.memory == "3GB"


def test_a_cluster_is_told_what_a_task_may_take(home, monkeypatch):
    monkeypatch.setenv("NEGSET_CLUSTER", "tcp://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"resources\.memory"), open_crew(config(kind="dask")):
        pass
    with open_crew(config("3GB", kind="dask")) as crew:  # nobody is connected to before there is something to do
        assert crew.remote
        assert crew.config.resources.memory == "3GB"
    with open_crew(config(kind="threads")) as crew:
        assert not crew.remote


@pytest.mark.parametrize(
    ("runner", "worth", "parts"),
    [
        ({"workers": 3}, 1000.0, 12),
        ({"workers": 3}, 5.7, 5),
        ({"workers": 300}, 1000.0, 256),
        ({"workers": 3, "max_tasks": 5}, 1000.0, 5),
    ],
)
def test_a_step_is_cut_by_its_work_by_workers_and_by_what_the_server_bears(home, runner, worth, parts):
    with open_crew(config(kind="threads", **runner)) as crew:
        assert crew.parts(worth) == parts


def test_for_little_work_nobody_is_called(home, monkeypatch):
    monkeypatch.setattr(importlib.import_module("flows.runners.crew"), "open_engine", None)
    with open_crew(config(kind="processes", workers=3)) as crew:
        assert [crew.parts(worth) for worth in (0.0, 0.5, 1.9)] == [1, 1, 1]


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with (
        pytest.raises(ConfigError, match=r"is not installed: pip install 'negset\[ray\]'"),
        open_engine(config(kind="ray"), ""),
    ):
        pass


def test_the_crew_of_one_shares_nothing():
    assert not alone(config(kind="dask")).shares


def test_workers_are_as_many_as_the_widest_task_lets_in():
    assert local_workers(RunnerConfig(kind="threads", workers=7)) == 7
    cpus = local_workers(RunnerConfig(kind="threads"))
    assert local_workers(RunnerConfig(kind="threads", mine={"cpus": 2 * cpus})) == 1
    assert set(worker_environment(2).values()) == {"2"}


def test_a_room_whose_workers_died_is_a_fault_that_is_named(home, monkeypatch):
    monkeypatch.setenv("NEGSET_CLUSTER", "tcp://127.0.0.1:1")

    class Runner:
        def submit(self, task, parameters):
            assert parameters == {"name": "x"}
            future = Future()
            future.set_exception(TimeoutError("worker 7"))
            return future

    @part("work")
    def work(name: str) -> str:
        return name

    with open_crew(config("3GB", kind="dask")) as crew:
        nobody = Engine(Runner(), 1, lambda _: nullcontext(), lambda _: 1, lost=(TimeoutError,))
        monkeypatch.setattr(crew, "_engine", nobody)
        with pytest.raises(EnvironmentFault, match=r"work: its workers died again and again .*worker 7"):
            crew.sent(work)("x")
