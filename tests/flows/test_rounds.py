"""Rounds as a flow: what each publishes, what it is made from, when they stop, and what is not done again."""

import json
import logging
from pathlib import Path

import pytest

from flows.cli import main
from flows.rounds import rounds
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.publishing.reading import read_set
from negset.publishing.verify import verify_set
from negset.rounds import loop
from negset.rounds.deciding import Decision, decide
from negset.rounds.report import read_rounds
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

pytestmark = pytest.mark.flow

TRAIN = TrainConfig(dimensions=16, epochs=2, device="cpu")


@pytest.fixture
def run(prefect_server, home, build_file):
    """Give a function that runs rounds of the small collection and gives their folder and report."""

    def run_rounds(*overrides: str, **options):
        settings = RoundsConfig(**{"rounds": 2, "validation": 0.25, "depth": 100, **options})
        folder = Path(rounds(load_build_config(build_file, overrides), TRAIN, settings))
        return folder, read_rounds(folder)

    return run_rounds


@pytest.fixture
def completed():
    """Give the list that names of rooms are added to as they run to their end, not from the cache."""
    seen: list[str] = []

    class Noted(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("Finished in state Completed"):
                seen.append(record.task_run_name.rpartition("-")[0])

    handler, log = Noted(), logging.getLogger("prefect.task_runs")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield seen
    log.removeHandler(handler)
    log.setLevel(level)


def version(home, report, number):
    return home / "sets" / "small" / "versions" / report.rounds[number - 1].version


def test_each_round_is_a_version_that_says_which_model_mined_it(run, home, completed):
    _, shorter = run(rounds=1)
    completed.clear()
    folder, report = run()
    # The second round goes on from the first, which stays as it is.
    assert report.rounds[:1] == shorter.rounds
    assert completed.count("train-round") == completed.count("publish") == 1
    first, second = (read_set(version(home, report, number)).manifest for number in (1, 2))
    verify_set(version(home, report, 2))
    assert (first.round.round, first.round.checkpoint, first.round.parent) == (1, "", None)
    assert (second.round.round, second.round.parent) == (2, report.rounds[0].version)
    assert second.round.checkpoint == report.rounds[0].checkpoint == report.rounds[1].mined_by
    assert report.rounds[0].checkpoint not in (report.start.checkpoint, report.rounds[1].checkpoint)
    assert first.encoder.backend == "lsa"
    assert second.encoder.backend == "sentence-transformers"
    assert first.round.loop == second.round.loop == report.loop
    assert str(folder) not in json.dumps(second.model_dump(mode="json"))
    assert "mined by the model of the round before" in (version(home, report, 2) / "report.html").read_text()
    assert report.status == "finished"
    assert (folder / report.model / "modules.json").is_file()

    completed.clear()
    again, same = run()
    assert (again, same) == (folder, report)
    assert completed == []


def test_a_round_that_makes_things_worse_ends_the_loop_and_its_set_is_not_the_latest(run, home, monkeypatch, capsys):
    def pessimist(values, seed):
        decisions = decide([values[0], *(values[0] + 0.1 * number for number in range(1, len(values)))], seed)
        return [*decisions[:1], *(Decision(one.behind, worse=True, best=1) for one in decisions[1:2])]

    monkeypatch.setattr(loop, "decide", pessimist)
    folder, report = run(rounds=3)
    assert (report.status, report.best, len(report.rounds)) == ("stopped", 1, 2)
    assert report.model == "round-1/model"
    assert (home / "sets" / "small" / "LATEST").read_text().strip() == report.rounds[0].version
    run(rounds=3)
    assert (home / "sets" / "small" / "LATEST").read_text().strip() == report.rounds[0].version
    asked = ["--rounds", "3", "--set", "rounds.validation=0.25", "--set", "rounds.depth=100"]
    trained = ["--set", "train.dimensions=16", "--set", "train.epochs=2", "--set", "train.device=cpu"]
    assert main(["rounds", str(folder.parents[2] / "build.toml"), *asked, *trained]) == 3
    assert "stopped: round 2 made nDCG@10" in capsys.readouterr().out


def test_frozen_documents_keep_the_vectors_of_the_start(run, home):
    folder, report = run(strategy="adore")
    first, second = (read_set(version(home, report, number)).manifest for number in (1, 2))
    assert (first.encoder.backend, second.encoder.backend) == ("lsa", "precomputed")
    assert [path.parent.name for path in sorted(folder.rglob("documents.npy"))] == ["start"]
    assert sorted(path.parent.name for path in folder.rglob("queries.npy")) == ["round-1", "round-2", "start"]
    assert second.round.strategy == "adore"


def test_a_ranker_is_trained_on_the_set_of_each_round_and_teaches(run, home, cross_encoder):
    chosen = (f"teach.cross_encoder.model={cross_encoder}", "teach.cross_encoder.device=cpu")
    chosen += ("gates.hubs.policy=warn",)  # sixteen queries make hubs of anything
    folder, report = run(*chosen, strategy="ar2")
    rankers = [json.loads((folder / f"round-{number}" / "ranked.json").read_text()) for number in (1, 2)]
    assert rankers[0] != rankers[1]
    assert all(0 <= one.fooled <= 1 for one in report.rounds)
    assert report.rounds[0].checkpoint != report.start.checkpoint
    assert str(cross_encoder) not in json.dumps(read_set(version(home, report, 2)).manifest.model_dump(mode="json"))


def test_a_model_that_cannot_mine_is_refused(run):
    with pytest.raises(ConfigError, match=r"add 'dense' to mine\.miners"):
        run('mine.miners=["bm25"]')
