"""Builds with the gates on content: history stops a set without naming it, and a finding ends with exit code 3."""

import json

import polars as pl
import pytest

from flows.cli import main
from negset.publishing.reading import read_set, resolve_version
from schemas.expectations import GateReport

pytestmark = pytest.mark.flow


def report_of(version):
    return GateReport.model_validate_json((version / "validation" / "validation.json").read_bytes())


def test_drift_stops_a_halved_corpus_and_is_no_part_of_the_id(prefect_server, home, build_file, beir, capsys, tmp_path):
    assert main(["build", str(build_file)]) == 0
    first = resolve_version(home / "sets" / "small")
    report = report_of(first)
    assert [check.scope for check in report.drift] == ["the first version: nothing to compare"]
    assert {"candidates_hub_dense", "queries_evaluated", "negatives_shortcut"} <= {
        check.name for check in report.checks
    }
    assert "drift" not in {check.name for check in read_set(first).manifest.validation.checks}
    assert main(["show", str(first)]) == 0
    shown = capsys.readouterr().out
    assert "the first version: nothing to compare" in shown
    assert "candidates_hub_dense" in shown

    whole = {name: (beir / name).read_text() for name in ("corpus.jsonl", "qrels/train.tsv", "qrels/test.tsv")}
    kept = {json.loads(line)["_id"] for line in whole["corpus.jsonl"].splitlines()[:30]}
    (beir / "corpus.jsonl").write_text("".join(f"{line}\n" for line in whole["corpus.jsonl"].splitlines()[:30]))
    for name in ("qrels/train.tsv", "qrels/test.tsv"):
        head, *rows = whole[name].splitlines()
        (beir / name).write_text("\n".join([head, *(row for row in rows if row.split("\t")[1] in kept)]) + "\n")
    assert main(["build", str(build_file)]) == 3
    said = capsys.readouterr().err
    assert "drift_source" in said
    assert "table=documents, before=60, now=30" in said
    assert resolve_version(home / "sets" / "small") == first

    assert main(["build", str(build_file), "--set", "gates.drift.policy=warn"]) == 0
    halved = resolve_version(home / "sets" / "small")
    assert [check.name for check in report_of(halved).warnings if check.name == "drift_source"] == ["drift_source"]

    # the same input in an empty home, with nothing to compare with, has the same id
    fresh = ["--set", "gates.drift.policy=fail"]
    for folder in ("sets", "store"):
        (home / folder).rename(tmp_path / f"{folder}-before")
    assert main(["build", str(build_file), *fresh]) == 0
    again = resolve_version(home / "sets" / "small")
    assert again.name == halved.name
    assert report_of(again).drift[0].scope == "the first version: nothing to compare"


def test_a_second_build_validates_nothing(prefect_server, home, build_file, capsys):
    assert main(["build", str(build_file)]) == 0
    assert main(["build", str(build_file), "--set", "recipe.negatives=2"]) == 0
    capsys.readouterr()
    assert main(["plan", str(build_file), "--set", "recipe.negatives=2"]) == 0
    assert " runs" not in capsys.readouterr().out


def test_a_query_of_an_evaluation_file_is_dropped_or_stops_the_build(prefect_server, home, build_file, beir, capsys):
    asked = [json.loads(line) for line in (beir / "queries.jsonl").read_text().splitlines()]
    bench = build_file.parent / "bench.jsonl"
    bench.write_text("".join(json.dumps({"id": "x", "text": row["text"].upper()}) + "\n" for row in asked[1:3]))
    named = ["--set", 'gates.evaluation=["bench.jsonl"]']  # beside the build file
    assert main(["build", str(build_file), *named, "--set", "gates.query_leaks=fail"]) == 3
    said = capsys.readouterr().err
    assert "queries_evaluated" in said
    assert "query_id=q01, file=bench.jsonl, evaluation=x, how=exact" in said
    assert main(["build", str(build_file), *named]) == 0
    fates = read_set(home / "sets" / "small").table("fates")
    dropped = fates.filter(pl.col("fate") == "dropped").select("query_id", "reason").rows()
    assert dropped == [("q01", "query_leak"), ("q02", "query_leak")]


def test_a_recipe_that_changed_under_its_name_is_no_drift_of_data(prefect_server, home, build_file, tmp_path, capsys):
    """The same build file, whose own recipe now keeps a third of the negatives; before, that stopped the build."""
    own = tmp_path / "own.toml"
    own.write_text('[[rules]]\nname = "top"\nk = 3\n')
    asked = ["build", str(build_file), "--set", f"recipe.name={own}", "--set", "recipe.negatives=0"]
    assert main(asked) == 0
    own.write_text('[[rules]]\nname = "top"\nk = 1\n')
    assert main(asked) == 0, capsys.readouterr().err
    checks = {check.name: check for check in report_of(resolve_version(home / "sets" / "small")).drift}
    assert checks["drift_set"].scope.endswith("not compared, since rules changed")
    assert "drift_rows" not in checks

    # Another shipped recipe is a change of the build file. The corpus is compared all the same.
    assert main(["build", str(build_file), "--set", "recipe.name=perc-pos"]) == 0, capsys.readouterr().err
    checks = {check.name: check for check in report_of(resolve_version(home / "sets" / "small")).drift}
    assert checks["drift_set"].scope.endswith("not compared, since recipe, rules changed")
    assert checks["drift_source"].scope.startswith("against version")
