"""Probing and tuning from the command line: what a person gets to read, and what is written where."""

import json
import re

import numpy as np
import polars as pl
import pytest

from flows.cli import main
from flows.commands.tune import explain
from negset.configuration import load_build_config
from negset.probing.opening import set_names
from negset.probing.tuning import report_tuning
from negset.publishing.reading import read_set

pytestmark = pytest.mark.flow


@pytest.fixture
def built(prefect_server, home, build_file, capsys):
    """Give the folder of a set that was built from the build file."""
    assert main(["build", str(build_file)]) == 0
    capsys.readouterr()
    return home / "sets" / "small"


def test_probe_ranks_a_set_and_a_file_of_negatives(built, build_file, tmp_path, capsys):
    published = read_set(built)
    naive = published.table("negatives").select("query_id", "doc_id")
    own = tmp_path / "peer.parquet"
    naive.with_columns(doc_id=pl.col("doc_id").reverse()).write_parquet(own)
    out = tmp_path / "probe.json"
    assert main(["probe", str(built), str(own), "--seeds", "2", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    for name in ("small", "peer", "(untrained)", "(random documents)"):
        assert f" {name} " in said
    assert re.search(r"^best: (small|peer)", said, re.MULTILINE)
    assert "held-out queries: split 'test'" in said
    report = json.loads(out.read_text())
    assert [row["name"] for row in report["rows"]] == sorted(
        (row["name"] for row in report["rows"]),
        key=lambda name: -next(row["measures"]["ndcg_at_10"] for row in report["rows"] if row["name"] == name),
    )
    assert report["queries"] == 8

    # The same again gives the same numbers, and the corpus can be named by the build file as well.
    again = tmp_path / "again.json"
    asked = ["probe", str(built), str(own), "--seeds", "2", "--config", str(build_file), "--json", str(again)]
    assert main(asked) == 0
    assert json.loads(again.read_text()) == report
    assert main(["probe", str(own), "--seeds", "1", "--kind", "static", "--config", str(build_file)]) == 0
    assert "static probe" in capsys.readouterr().out


def test_probe_says_what_it_cannot_compare(built, build_file, beir, tmp_path, capsys):
    own = tmp_path / "peer.parquet"
    pl.DataFrame({"query_id": ["q01"], "doc_id": ["d001"]}).write_parquet(own)
    assert main(["probe", str(own)]) == 2
    assert "does not say which corpus it is about: give --config" in capsys.readouterr().err
    assert main(["probe", str(built), str(built)]) == 2
    assert "given more than once" in capsys.readouterr().err
    assert main(["probe", str(built), "--held-out", "dev"]) == 2
    assert "split 'dev' has no query with a positive" in capsys.readouterr().err
    (beir / "corpus.jsonl").open("a").write('{"_id": "new", "title": "", "text": "a new one"}\n')
    assert main(["build", str(build_file), "--set", "name=grown"]) == 0
    capsys.readouterr()
    assert main(["probe", str(built), str(built.with_name("grown"))]) == 2
    assert "was made from another corpus than the others" in capsys.readouterr().err


def test_tune_prints_what_to_put_in_and_writes_it_when_asked(prefect_server, home, build_file, tmp_path, capsys):
    text = build_file.read_text().replace('name = "naive"', 'name = "naive"  # to be tuned')
    build_file.write_text(text)
    out = tmp_path / "tuned.json"
    asked = ["tune", str(build_file), "--recipes", "random,star", "--json", str(out)]
    assert main(asked) == 0
    said = capsys.readouterr().out
    chosen = json.loads(out.read_text())["chosen"]
    assert f"chosen: {chosen}" in said
    assert "as configured" in said
    assert build_file.read_text() == text  # nothing is chosen silently
    assert main([*asked, "--write"]) == 0
    written = capsys.readouterr().out
    config = load_build_config(build_file)
    if chosen == "as configured":
        assert "asks for this recipe already" in written
        assert build_file.read_text() == text
    else:
        assert config.recipe.name == chosen.split()[0]
        assert "# to be tuned" in build_file.read_text()
    assert config.recipe.negatives == 3
    assert main(["plan", str(build_file)]) == 0


def test_tune_refuses_what_cannot_be_before_it_mines(home, build_file, capsys):
    assert main(["tune", str(build_file), "--recipes", "naiv"]) == 2
    assert "unknown recipe 'naiv'" in capsys.readouterr().err


def test_names_of_sets_are_short_until_two_share_one(tmp_path):
    one, other, file = tmp_path / "a" / "set", tmp_path / "b" / "set", tmp_path / "peer.parquet"
    assert set_names([one, file]) == {one: "set", file: "peer"}
    assert set_names([one, other]) == {one: str(one), other: str(other)}


def test_tune_says_how_many_queries_were_measured_on_what_was_trained():
    """What a fold could not keep apart stands in words beside the choice, and only where there is any."""
    values = np.array([[0.5, 0.6], [0.4, 0.4]])
    known = {"runs": [1, 1], "trained": [1, 1], "before": 0.1, "control": 0.2, "seed": 1}
    said, silent = (
        "\n".join(explain(report_tuning(["a", "b"], values, [True, True], shared=shared, **known))) for shared in (1, 0)
    )
    assert "1 of 2 queries were measured by a probe that was trained on one of their positives" in said
    assert "positives" not in silent


def test_tune_refuses_a_budget_that_is_too_small_before_it_mines(home, build_file, capsys):
    assert main(["tune", str(build_file), "--recipes", "shifted,star", "--budget", "2"]) == 2
    said = capsys.readouterr().err
    assert "the budget is 2: raise --budget or name fewer --recipes" in said
    assert "selected" not in said
    assert not list((home / "store").glob("cell*"))
