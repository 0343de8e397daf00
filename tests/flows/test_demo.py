"""The demo and every command on its data, on a small part of it: each runs to its end and says what a reader needs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from flows.cli import main
from flows.commands import demo

pytestmark = pytest.mark.flow


@pytest.fixture
def part(monkeypatch):
    """Make the demo read numpy's polynomials alone: some 200 docstrings, with real twins among them."""
    source = demo.DEMO.source.model_copy(update={"path": str(Path(np.__file__).parent / "polynomial")})
    monkeypatch.setattr(demo, "DEMO", demo.DEMO.model_copy(update={"source": source}))
    return source.path


@pytest.fixture
def build_of_demo(tmp_path, part):
    """Give the build file of the demo."""
    file = tmp_path / "build.toml"
    file.write_text(
        f'name = "docstrings"\n[source]\nformat = "docstrings"\npath = "{part}"\nheld_out = 0.1\n'
        '[encoder]\nbackend = "lsa"\n[mine]\nminers = ["dense", "bm25"]\nsplits = ["train"]\n'
        '[recipe]\nname = "perc-pos"\nnegatives = 5\n'
    )
    return file


def test_the_demo_and_what_can_be_asked_of_its_set(prefect_server, home, build_of_demo, tmp_path, capsys):
    assert main(["demo", "--home", str(home)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"nDCG@10 +0\.\d+ +0\.\d+", said)
    built = home / "sets" / "docstrings"
    assert f"negset show {built}" in said

    # The set of the demo is the one that its build file asks for.
    assert main(["build", str(build_of_demo)]) == 0
    capsys.readouterr()
    assert len(list((built / "versions").iterdir())) == 1

    assert main(["calibrate", str(build_of_demo)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^(Recommended on scores of|Nothing fits; nearest:)", said, re.MULTILINE)
    for column in ("return rate", "rows lost", "score gap", "kept"):
        assert re.search(rf"^{column}: ", said, re.IGNORECASE | re.MULTILINE), column

    assert main(["audit", str(build_of_demo)]) == 0
    said = capsys.readouterr().out
    for column in ("return rate", "score gap", "raw rank", "rows full"):
        assert re.search(rf"^{column}: ", said, re.IGNORECASE | re.MULTILINE), column

    assert main(["probe", str(built), "--seeds", "2"]) == 0
    assert re.search(r"^best: docstrings", capsys.readouterr().out, re.MULTILINE)


def test_tune_tries_recipes_or_says_why_not(prefect_server, home, build_of_demo, tmp_path, capsys):
    """One recipe of each kind: of scores, with random documents, by a guide, by vectors, and those that cannot be."""
    out = tmp_path / "tuned.json"
    recipes = "naive,star,gistembed,look,sample4geo,reviewed"
    assert main(["tune", str(build_of_demo), "--recipes", recipes, "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    tried = {row["name"].split(" ")[0] for row in found["rows"]}
    assert tried == {"as", "naive", "star", "gistembed", "look"}  # "as configured"
    repeated = {name for name, why in found["left_out"].items() if why.startswith("it chooses the same negatives")}
    assert {name.split(" ")[0] for name in set(found["left_out"]) - repeated} == {"sample4geo", "reviewed"}
    assert all(found["left_out"].values())
    said = capsys.readouterr().out
    assert re.search(r"^not tried: sample4geo: .*geo", said, re.MULTILINE)
    assert re.search(r"^chosen: ", said, re.MULTILINE)
    assert "asks for this recipe already" in said or "put into" in said
