"""The flows of deployments: what is missed is made up for, what is open is left alone, and freshness is told truly."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flows import deployed, partitions
from flows.deployed import backfill_dataset, build_dataset, rounds_dataset, train_dataset
from negset import configuration
from negset.configuration import load_scheduled
from negset.errors import ArtifactError, ConfigError
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

pytestmark = pytest.mark.flow


@pytest.fixture
def clock(monkeypatch):
    """Give a function that says what time it is for flows."""

    def set_to(text):
        now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        for module in (partitions, deployed, configuration):
            monkeypatch.setattr(module, "datetime", SimpleNamespace(now=lambda _: now))

    return set_to


@pytest.fixture
def fresh(monkeypatch):
    """Give what was said to be up to date."""
    said = []
    for module in (partitions, deployed):
        monkeypatch.setattr(module, "tell_fresh", lambda dataset, newest: said.append((dataset, newest)))
    return said


def published(home):
    return sorted(path.parent.name for path in (home / "sets" / "log").glob("*/LATEST"))


def test_a_run_makes_up_for_those_that_were_missed(prefect_server, home, monthly_file, clock, fresh, monkeypatch):
    config, schedule = load_scheduled(monthly_file, ["partitions.end="])
    trained = []
    monkeypatch.setattr(deployed, "train", lambda path, _: trained.append(path) or SimpleNamespace(path="model"))
    with pytest.raises(ArtifactError, match="no partition of 'log' is published"):
        train_dataset("log", TrainConfig(), config.partitions)

    clock("2024-02-15")  # February is not over
    assert backfill_dataset(config, only=schedule.only) == {"published": 1}
    assert published(home) == ["2024-01"]
    assert fresh == [("log", "2024-01")]
    assert train_dataset("log", TrainConfig(), config.partitions) == "model"

    clock("2024-04-01T00:00:01")  # the run of March did not take place
    # A backfill of the past alone leaves the dataset as old as it was.
    assert backfill_dataset(config, last="2024-01") == {"published": 1}
    assert fresh == [("log", "2024-01")]
    assert backfill_dataset(config, only=schedule.only) == {"published": 3}
    assert published(home) == ["2024-01", "2024-02", "2024-03"]
    assert fresh[1:] == [("log", "2024-03")]
    train_dataset("log", TrainConfig(), config.partitions)
    train_dataset("log", TrainConfig(), config.partitions, "2024-02")
    assert [path.split("/")[-3] for path in trained] == ["2024-01", "2024-03", "2024-02"]

    assert build_dataset(config) == (home / "sets/log/2024-03/LATEST").read_text().strip()
    assert fresh[2:] == [("log", "2024-03")]


def test_rounds_are_of_the_newest_partition(prefect_server, home, monthly_file, monkeypatch):
    seen = []
    monkeypatch.setattr(deployed, "rounds", lambda config, train, options: seen.append(config) or "folder")
    config, _ = load_scheduled(monthly_file)
    assert rounds_dataset(config, TrainConfig(), RoundsConfig()) == "folder"
    assert (seen[0].partition, seen[0].source.as_of[:10]) == ("2024-03", "2024-03-31")


def test_a_home_that_a_worker_would_remove_is_refused(prefect_server, monthly_file, monkeypatch):
    monkeypatch.setenv("NEGSET_HOME", ".negset")
    with pytest.raises(ConfigError, match=r"NEGSET_HOME is '.negset', a folder below one that the worker removes"):
        build_dataset(load_scheduled(monthly_file)[0])


def test_a_list_has_no_newest(prefect_server, home):
    with pytest.raises(ConfigError, match="of which none is the newest; give partition"):
        train_dataset("log", TrainConfig(), {"kind": "list", "names": ["de", "fr"]})
