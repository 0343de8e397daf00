"""The command line: what it says without running a flow, and how it ends."""

import subprocess
import sys
import tomllib
from datetime import date

import polars as pl
import pytest

from flows.cli import main
from negset.teaching.teacher import teachers


def test_the_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    named = "init build backfill status train merge plan audit calibrate rules losses show verify probe ablate transfer"
    named += " tune demo deploy doctor diff gc explain history rollback tag"
    for command in named.split():
        assert f"\n    {command}" in said


_LOADED = """
import sys
from flows.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"prefect", "polars", "torch", "great_expectations", "sklearn", "pyarrow", "pydantic"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_the_help_loads_no_library():
    """What makes the help slow is importing libraries; it imports none."""
    run = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    assert run.stderr.strip() == "[]"


def test_a_wrong_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mine"])
    assert ended.value.code == 2
    assert "invalid choice: 'mine'" in capsys.readouterr().err


def test_rules_lists_rules_and_recipes(capsys):
    assert main(["rules"]) == 0
    rules = capsys.readouterr().out
    assert "filter   percent_of_positive" in rules
    assert main(["rules", "--recipes"]) == 0
    recipes = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"naive", "shifted", "abs", "margin-pos", "perc-pos", "star"} <= set(recipes)
    assert main(["rules", "percent_of_positive"]) == 0
    assert "share = 0.95" in capsys.readouterr().out
    assert main(["rules", "perc-pos"]) == 0
    assert "percent_of_positive share=0.95" in capsys.readouterr().out


def test_losses_lists_each_with_what_it_needs(capsys):
    assert main(["losses"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert len(lines) >= 15
    assert "InfoNCE" in lines["info_nce"]
    assert "needs" not in lines["info_nce"]
    assert lines["gist"].endswith("(needs train.guide)")
    assert lines["exact_softmax"].endswith('(needs train.candidates = "all")')
    assert main(["losses", "margin_mse"]) == 0
    shown = capsys.readouterr().out
    assert "  needs train.teacher\n" in shown
    assert "  scale = 1.0" in shown
    assert main(["losses", "margin_mze"]) == 2
    assert "did you mean 'margin_mse'" in capsys.readouterr().err


def test_rules_lists_teachers_and_their_options_beside_the_rules(capsys):
    assert main(["rules"]) == 0
    everything = capsys.readouterr().out
    assert main(["rules", "--teachers"]) == 0
    taught = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in taught] == [["teacher", name] for name in teachers()]
    assert all(line.rstrip().endswith((".", ":")) and line.split()[2:] for line in taught)
    assert {line.split()[1] for line in taught} < {line.split()[1] for line in everything.splitlines()}
    assert main(["rules", "judge"]) == 0
    shown = capsys.readouterr().out
    assert "judge (teacher): Votes of a language model" in shown
    assert "depth = 10         First ranks of each miner that are judged; 0 for all." in shown
    assert "[teach.judge]" in shown
    for name in teachers():
        assert main(["rules", name]) == 0
        assert "None" not in capsys.readouterr().out, name


def test_a_name_of_a_rule_and_of_a_recipe_shows_both(capsys):
    assert main(["rules", "simans"]) == 0
    shown = capsys.readouterr().out
    assert "simans (sampler): Draw" in shown
    assert "simans (recipe): Candidates" in shown


def test_an_unknown_rule_is_named_with_what_is_close(capsys):
    assert main(["rules", "marign"]) == 2
    assert "unknown rule 'marign' (did you mean 'margin'?)" in capsys.readouterr().err


def test_init_recognises_a_folder_and_writes_a_config_that_plans(beir, home, tmp_path, capsys):
    out = tmp_path / "made.toml"
    assert main(["init", "--source", str(beir), "--out", str(out)]) == 0
    assert "read as beir: 60 documents, 24 queries, 24 of them with positives" in capsys.readouterr().out
    made = tomllib.loads(out.read_text())
    assert made["source"] == {"format": "beir", "path": str(beir)}
    assert made["mine"]["splits"] == ["train"]
    assert main(["plan", str(out)]) == 0
    assert capsys.readouterr().out.startswith("ingest          runs")
    assert main(["init", "--source", str(beir), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_as_of_is_short_for_its_option(monkeypatch, tmp_path):
    import flows.commands.plan

    seen = []
    monkeypatch.setattr(flows.commands.plan, "run", lambda options: seen.append(options.overrides) or 0)
    assert main(["plan", "x.toml", "--set", "mine.depth=3", "--as-of", "2024-06-30"]) == 0
    assert seen == [["mine.depth=3", "source.as_of=2024-06-30"]]


def test_a_plan_follows_the_day(build_file, home, capsys):
    assert main(["plan", str(build_file), "--as-of", "2024-06-31"]) == 2
    assert "source.as_of = '2024-06-31'" in capsys.readouterr().err
    assert main(["plan", str(build_file), "--as-of", "2024-06-30"]) == 0


def test_init_tells_of_times_where_there_are_some(collection, home, tmp_path, capsys):
    folder = collection(tmp_path / "dated", {"d1": "one"}, {"q1": "first"}, [("q1", "d1", 1)])
    assert main(["init", "--source", str(folder), "--out", str(tmp_path / "plain.toml")]) == 0
    assert "as-of" not in (tmp_path / "plain.toml").read_text()
    corpus = pl.read_parquet(folder / "corpus.parquet")
    corpus.with_columns(created_at=date(2024, 1, 1)).write_parquet(folder / "corpus.parquet")
    out = tmp_path / "dated.toml"
    assert main(["init", "--source", str(folder), "--out", str(out)]) == 0
    assert "`negset build dated.toml --as-of" in out.read_text()
    assert "time" not in tomllib.loads(out.read_text())["mine"]
    told = [line.removeprefix("# ") for line in out.read_text().splitlines() if line.startswith(("# limit", "# grace"))]
    out.write_text(out.read_text() + "\n[mine.time]\n" + "\n".join(told))
    assert main(["plan", str(out)]) == 0  # what it tells of can be written


def test_init_says_what_it_looked_for(tmp_path, capsys):
    (tmp_path / "notes.md").write_text("nothing to mine here")
    assert main(["init", "--source", str(tmp_path), "--out", str(tmp_path / "made.toml")]) == 2
    assert "beir" in capsys.readouterr().err.lower()
    assert not (tmp_path / "made.toml").exists()


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_folder_that_is_no_set_is_an_environment_fault(command, tmp_path, capsys):
    assert main([command, str(tmp_path)]) == 4
    assert "holds no negative set" in capsys.readouterr().err


def test_a_relative_set_is_found_for_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "nowhere"]) == 4
    assert "nowhere" in capsys.readouterr().err
