"""Batch plans from the command line: what a person gets to read, what is written, and training by a plan."""

import json
import re

import polars as pl
import pytest

from flows.cli import main
from negset.batching.reading import open_plan
from negset.publishing.reading import read_set
from negset.tables import read_table


def test_plans_and_their_options_are_listed_without_a_set(capsys):
    assert main(["batches"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^ngame +Batch balanced clusters", said, re.MULTILINE)
    assert main(["batches", "--plan", "ngame"]) == 0
    assert "doublings = '1,2,3,4'" in capsys.readouterr().out
    assert main(["batches", "--plan", "ngam"]) == 2
    assert "did you mean 'ngame'" in capsys.readouterr().err


@pytest.mark.flow
def test_a_plan_is_made_copied_found_again_and_trained_by(prefect_server, home, build_file, tmp_path, capsys):
    assert main(["build", str(build_file)]) == 0
    built, out = home / "sets" / "small", tmp_path / "plan"
    capsys.readouterr()
    asked = ["batches", str(built), "--plan", "ngame", "--set", "size=4", "--set", "doublings=1", "--epochs", "2"]
    assert main([*asked, "--batch-size", "8", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"plan        {out}" in said
    assert "queries     16 of split 'train' can be trained on" in said
    assert "each query is in one batch of each epoch" in said
    assert re.search(r"groups +\d+\.\d% of the pairs of queries in a batch are of one group", said)
    assert "epoch 1     16 visits in 2 batches, clusters of 8" in said

    # What it says is what its tables hold, and they are of the set's own queries and documents.
    opened, published = open_plan(out), read_set(built)
    rows = read_table(out / "batch_plan" / "epoch-00001.parquet")
    positives = published.table("positives").select("query_id", "doc_id")
    assert (
        rows.select("query_id", doc_id="positive_id").join(positives, on=["query_id", "doc_id"], how="anti").is_empty()
    )
    assert opened.manifest.set_version == published.folder.name
    assert [one.visits for one in opened.manifest.epochs] == [16, 16]
    assert opened.manifest.options == {"size": 4, "doublings": "1"}

    # Made again it is the same, from the store; a folder that holds something else is not written to.
    before = (out / "batch_plan" / "epoch-00000.parquet").read_bytes()
    assert main([*asked, "--batch-size", "8", "--out", str(out)]) == 0
    assert (out / "batch_plan" / "epoch-00000.parquet").read_bytes() == before
    assert len(list((home / "store" / "batch_plan").iterdir())) == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    capsys.readouterr()
    assert main([*asked, "--out", str(tmp_path / "other")]) == 2
    assert "give --out a new or empty folder" in capsys.readouterr().err

    # A run that trains by a plan makes it, takes its batches, and is another run than one without.
    train = ["train", str(built), "--set", "epochs=2", "--set", "batch_size=8", "--set", "dimensions=16"]
    plan = ["--set", "plan=ngame", "--set", "plan_options.size=4", "--set", "plan_options.doublings=1"]
    assert main([*train, *plan]) == 0
    assert main([*train, "--set", "plan=task-pure"]) == 2
    assert "names the column 'task', which none of the queries has" in capsys.readouterr().err
    assert main([*train, "--set", "plan_refresh=1"]) == 2
    assert "none of the 2 epochs of the plan 'shuffled' is made from vectors" in capsys.readouterr().err
    runs = list((home / "runs").iterdir())
    assert len(runs) == 1
    steps = [json.loads(line) for line in (runs[0] / "history.jsonl").read_text().splitlines()]
    assert len(steps) == 4

    # What a person asks for that the set does not have, is said.
    assert main(["batches", str(built), "--plan", "sample4geo"]) == 2
    assert "latitude" in capsys.readouterr().err
    assert main(["batches", str(built), "--plan", "cyclical", "--set", "losses=nowhere.parquet"]) == 2
    assert "cannot read nowhere.parquet" in capsys.readouterr().err
    assert main(["batches", str(built), "--split", "dev"]) == 2
    assert "'dev'" in capsys.readouterr().err


@pytest.mark.flow
def test_older_versions_are_replayed_with_documents_that_the_set_has_no_more(prefect_server, home, build_file, capsys):
    assert main(["build", str(build_file)]) == 0
    assert main(["build", str(build_file), "--set", "recipe.name=random", "--set", "mine.miners=['random']"]) == 0
    built = home / "sets" / "small"
    older, newest = sorted(
        (built / "versions").iterdir(), key=lambda one: one.name == (built / "LATEST").read_text().strip()
    )
    capsys.readouterr()
    assert main(["batches", str(built), "--plan", "power-law-replay", "--epochs", "1", "--set", "a=0"]) == 0
    assert "visits expected at age 2" in capsys.readouterr().out
    (folder,) = (home / "store" / "batch_plan").iterdir()
    rows = read_table(folder / "batch_plan" / "epoch-00000.parquet")
    replayed = rows.filter(pl.col("set_version") == older.name)
    assert replayed.height == rows.height // 2
    theirs = read_set(older).table("negatives").group_by("query_id").agg(pl.col("doc_id").sort_by("rank"))
    both = replayed.join(theirs, on="query_id")
    assert both.get_column("negative_ids").to_list() == both.get_column("doc_id").to_list()
    assert main(["train", str(newest), "--set", "plan=power-law-replay", "--set", "dimensions=16"]) == 0
