"""`negset audit` and `negset calibrate` from the command line, on a collection with several positives a query."""

import csv
import json
import re
from pathlib import Path

import polars as pl
import pytest

from flows.cli import main
from negset.publishing.reading import read_set
from tasks.place import Place

pytestmark = pytest.mark.flow


@pytest.fixture
def several(build_file: Path, beir: Path) -> Path:
    """Give the build file after labelling two more documents for each query."""
    qrels = beir / "qrels"
    for path in sorted(qrels.glob("*.tsv")):
        lines = path.read_text().splitlines()
        more = []
        for line in lines[1:]:
            query, doc, _ = line.split("\t")
            place = int(doc[1:])
            more += [f"{query}\td{(place + step) % 60:03}\t1" for step in (7, 19)]
        path.write_text("\n".join([*lines, *more]) + "\n")
    return build_file


def test_an_audit_mines_once_publishes_nothing_and_says_the_same_again(prefect_server, home, several, tmp_path, capsys):
    report, page = tmp_path / "audit.json", tmp_path / "out" / "audit.html"
    arguments = ["audit", str(several), "--recipes", "naive,shifted", "--strata", "--json", str(report)]
    assert main([*arguments, "--html", str(page)]) == 0
    said = capsys.readouterr().out
    assert "audit of small" in said
    assert re.search(r"\d+ of \d+ queries \(equal texts count once\) take part", said)
    assert "That number is an assumption" in said.replace("\n", " ")
    found = json.loads(report.read_text())
    assert [one["recipe"] for one in found["recipes"]] == ["naive", "shifted"]
    assert {one["wanted"] for one in found["recipes"]} == {3}
    assert found["queries_taking_part"] == found["queries"] > 10
    for one in found["recipes"]:
        rate = one["returns"]["rate"]
        assert 0 <= rate["low"] <= rate["share"] <= rate["high"] <= 1
        assert rate["low"] < rate["high"]
    assert "<script" not in page.read_text()
    assert page.read_text().count("<circle") == 2
    assert not Place().sets_folder().exists()
    store = home / "store"
    before = sorted(path.relative_to(store) for path in store.rglob("*"))
    first = report.read_bytes()
    assert main(arguments) == 0
    assert report.read_bytes() == first
    assert sorted(path.relative_to(store) for path in store.rglob("*")) == before
    assert not (store / "selection").exists()


def test_the_base_of_an_audit_is_the_set_that_a_build_publishes(prefect_server, home, several, tmp_path, capsys):
    """Then people judge a sample of it, and their votes come back as an estimate."""
    assert main(["build", str(several)]) == 0
    published = read_set(Place().sets_folder() / "small")
    negatives = published.table("negatives")
    report = tmp_path / "audit.json"
    assert main(["audit", str(several), "--json", str(report)]) == 0
    (own,) = json.loads(report.read_text())["recipes"]
    assert own["recipe"] == "naive"
    assert own["rows"]["negatives"] == negatives.height
    gap = negatives.select((pl.col("positive_score").cast(float) - pl.col("score").cast(float)).mean()).item()
    assert own["hardness"]["score_gap"] == pytest.approx(gap)

    target, asked, page = str(Place().sets_folder() / "small"), tmp_path / "votes.csv", tmp_path / "votes.html"
    assert main(["audit", target, "--sample", "12", "--out", str(asked), "--html", str(page)]) == 0
    assert page.read_text().count("<article") == 12
    with asked.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    with asked.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "rater": "ann", "vote": "yes" if n < 3 else "no"} for n, row in enumerate(rows))
    capsys.readouterr()
    assert main(["audit", target, "--votes", str(asked), "--json", str(report)]) == 0
    assert "12 of" in capsys.readouterr().out
    assert json.loads(report.read_text())["votes"] == {"yes": 3, "no": 9, "unsure": 0}
    asked.write_text(asked.read_text().replace(published.folder.name, "0" * 16, 1))
    assert main(["audit", target, "--votes", str(asked)]) == 2
    assert "line 2: the vote is on version '0000000000000000'" in capsys.readouterr().err
    assert main(["audit", target, "--sample", "3"]) == 2
    assert "--sample needs --out" in capsys.readouterr().err


def test_calibrate_recommends_before_anything_is_selected(prefect_server, home, several, tmp_path, capsys):
    report, page = tmp_path / "calibration.json", tmp_path / "calibration.html"
    assert main(["calibrate", str(several), "--json", str(report), "--html", str(page)]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "small, scores of dense" in said
    assert "small, scores of bm25" in said
    assert "The rule: the mildest setting" in said
    found = json.loads(report.read_text())
    assert [one["miner"] for one in found["miners"]] == ["dense", "bm25"]
    assert found["recommendation"]["setting"] in found["miners"][0]["settings"]
    assert page.read_text().count("<svg") == 8
    assert not (home / "store" / "selection").exists()
    assert not Place().sets_folder().exists()


def test_a_config_without_scores_cannot_be_calibrated(home, several, capsys):
    assert main(["calibrate", str(several), "--set", 'mine.miners=["random"]', "--set", "recipe.name=random"]) == 2
    assert "a threshold needs a miner that gives scores" in capsys.readouterr().err


def test_recipes_that_cannot_be_told_apart_or_bound_are_refused_before_anything_runs(home, several, capsys):
    assert main(["audit", str(several), "--recipes", "naive,naive"]) == 2
    assert "told apart by their names" in capsys.readouterr().err
    assert main(["audit", str(several), "--recipes", "star"]) == 2
    assert "rank_random" in capsys.readouterr().err
