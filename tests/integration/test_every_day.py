"""Every day on a real server: scheduled, killed in every part, fired twice, and everything finishes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from negset.periods.attempts import building
from tests.integration.prefect_site import Site, wait_for
from tests.integration.processes import kill
from tests.integration.results import attempts, data_digests, published

pytestmark = pytest.mark.flow

MONTHS = ["2024-01", "2024-02", "2024-03"]
STARTED = ["RUNNING", "COMPLETED", "FAILED", "CRASHED"]


@dataclass(frozen=True)
class Doomed:
    """A backfill whose machine was lost after the first partition, and what it had published by then."""

    run: str
    home: Path
    first: dict[str, str]


@pytest.fixture(scope="session")
def doomed(site: Site, home: Path, deploy: Callable[..., None], dataset: Callable[..., Path]) -> Doomed:
    """Start a backfill on a worker of its own, and kill both in its midst; who looks after it has a minute then."""
    home = site.folder / "doomed"
    deploy(dataset("doomed"), "--work-pool", "doomed", "--set", "schedule.silence=60s")
    worker = site.start_worker(home, "doomed")
    run = site.trigger("backfill-dataset/doomed")
    first = wait_for(lambda: published(home, "doomed"), "the first partition", 180)
    wait_for(lambda: site.events("prefect.flow-run.heartbeat", f"prefect.flow-run.{run}"), "a heartbeat", 30)
    kill(worker)
    return Doomed(run, home, first)


def test_a_scheduled_backfill_ends_well_though_the_server_was_killed(doomed, site, home, deploy, dataset):
    deploy(dataset("daily"), "--interval", "10s", "--set", "schedule.collision=cancel_new")
    wait_for(lambda: published(home, "daily"), "the first partition", 180)
    deployment = site.deployment("backfill-dataset/daily")["id"]
    site.patch(f"/deployments/{deployment}", {"paused": True})  # one run is enough
    kill(site.server)
    site.start_server()
    wait_for(site.answers, "the server to answer again", 120)
    (run,) = site.runs(deployment, STARTED)
    assert run["auto_scheduled"]
    assert site.finished(run["id"])["state_name"] == "Completed"
    assert list(published(home, "daily")) == MONTHS


def test_two_runs_of_one_partition_at_a_time_publish_one_version(site, home, deploy, dataset):
    deploy(dataset("twice"), "--set", "schedule.limit=2")
    config = {**site.deployment("build-dataset/twice")["parameters"]["config"], "partition": "2024-02"}
    with building(home / "sets" / "twice" / "2024-02"):  # until both are there, and want it
        runs = [site.trigger("build-dataset/twice", config=config) for _ in range(2)]
        wait_for(lambda: all(site.run(run)["state_name"] == "Running" for run in runs), "both runs to begin", 180)
        assert published(home, "twice") == {}
    assert [site.finished(run)["state_name"] for run in runs] == ["Completed", "Completed"]
    (version,) = published(home, "twice").values()
    folder = home / "sets" / "twice" / "2024-02"
    assert [path.name for path in (folder / "versions").iterdir()] == [version]
    assert len((folder / "history.jsonl").read_text().splitlines()) == 1
    outcomes = [one["outcome"] for one in attempts(home, "twice", "2024-02")]
    assert outcomes == ["published", "published"]
    daily = {name: digest for name, digest in data_digests(home, "daily").items() if name.startswith("2024-02")}
    assert data_digests(home, "twice") == daily


def test_a_run_whose_machine_is_lost_crashes_is_started_again_and_goes_on(doomed, site, home):
    wait_for(lambda: "Crashed" in site.states(doomed.run), "the run to be found crashed", 240)
    site.start_worker(doomed.home, "doomed")
    assert site.finished(doomed.run)["state_name"] == "Completed"
    states = site.states(doomed.run)
    assert states[: states.index("AwaitingRetry")][-2:] == ["Running", "Crashed"]
    versions = published(doomed.home, "doomed")
    assert list(versions) == MONTHS
    assert {key: versions[key] for key in doomed.first} == doomed.first
    assert all(len(attempts(doomed.home, "doomed", key)) == 1 for key in doomed.first)
    assert data_digests(doomed.home, "doomed") == data_digests(home, "daily")
