"""What a training run hands over: its page, and a verdict on its domains; and what other commands say of domains."""

import json

import pytest

from flows.cli import main

pytestmark = pytest.mark.flow


@pytest.fixture
def built(prefect_server, home, build_file, beir, capsys):
    """Give the folder of a set whose queries have a domain each."""
    lines = [json.loads(line) for line in (beir / "queries.jsonl").read_text().splitlines()]
    for place, line in enumerate(lines):
        line["area"] = "north" if place % 2 else "south"
    (beir / "queries.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["build", str(build_file)]) == 0
    capsys.readouterr()
    return home / "sets" / "small"


def test_training_writes_a_page_and_says_where(built, home, capsys):
    asked = ["train", str(built), "--set", "epochs=2", "--set", "batch_size=8"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    (folder,) = (home / "runs").iterdir()
    assert f"page        {folder / 'report.html'}" in said
    bias = json.loads((folder / "metrics.json").read_text())["label_bias"]
    assert f"loss        {bias['exact']:.4f} where a query's positive competes with all {bias['documents']}" in said
    page = (folder / "report.html").read_text()
    assert "small" in page
    assert "Loss over" in page
    assert "Loss of each pair by epoch" in page
    model = (folder / "model").stat().st_mtime_ns, (folder / "metrics.json").read_bytes()

    # Another section of the report: the page changes, nothing is trained again.
    assert main([*asked, "--set", "report.domain_field=area", "--set", "report.max_small_domain_drop=1"]) == 0
    capsys.readouterr()
    report = json.loads((folder / "report.json").read_text())
    assert {row["name"] for row in report["groups"] if row["kind"] == "domain"} == {"north", "south"}
    assert [row["domain"] for row in report["training_by_domain"]] == ["north", "south"]
    assert report["domains"]["passed"]
    assert ((folder / "model").stat().st_mtime_ns, (folder / "metrics.json").read_bytes()) == model
    assert [path.name for path in (home / "runs").iterdir()] == [folder.name]


def test_a_domain_that_falls_fails_the_command(built, home, capsys):
    ruined = ["train", str(built), "--set", "epochs=2", "--set", "batch_size=8", "--set", "learning_rate=0.7"]
    domains = ["--set", "report.domain_field=area", "--set", "report.max_small_domain_drop=0"]
    assert main([*ruined, *domains]) == 3
    said = capsys.readouterr().err
    assert "domains fell: " in said
    assert "report.waived_domains" in said
    (folder,) = (home / "runs").iterdir()
    assert (folder / "model").is_dir()
    assert "Failed: " in (folder / "report.html").read_text()
    assert main([*ruined, *domains, "--set", 'report.waived_domains=["north", "south"]']) == 0
    assert main([*ruined, *domains, "--set", 'report.waived_domains=["nort"]']) == 2
    assert "did you mean 'north'?" in capsys.readouterr().err


def test_ablate_and_transfer_say_what_they_found(built, build_file, tmp_path, capsys, monkeypatch):
    from negset.probing import ablating
    from negset.transfer import world

    monkeypatch.setattr(ablating, "LEAST", 4)
    monkeypatch.setattr(world, "LEAST", 2)
    monkeypatch.setattr(world, "LEAST_STEPS", 4)
    out = tmp_path / "ablation.json"
    assert main(["ablate", str(build_file), "--negatives", "2", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    report = json.loads(out.read_text())
    assert {row["name"] for row in report["rows"]} == {"random", "only-hard", "only-easy", "mixed"}
    assert report["budget"] == 2 * report["queries"]
    assert ("no difference" in said) is (report["use"] is None)
    assert main(["ablate", str(build_file), "--seeds", "2", "--negatives", "2"]) == 2
    assert main(["ablate", str(build_file), "--negatives", "30"]) == 2
    assert "mine deeper (mine.depth)" in capsys.readouterr().err

    out = tmp_path / "transfer.json"
    assert main(["transfer", str(built), "--by", "area", "--seeds", "2", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "+ north" in said
    assert "mean effect" in said
    assert [group["name"] for group in json.loads(out.read_text())["groups"]] == ["north", "south"]
    assert main(["transfer", str(built), "--order", "hardness", "--groups", "2", "--json", str(out)]) == 0
    assert "Training queries by hardness, in ten buckets" in capsys.readouterr().out
    assert sum(group["queries"] for group in json.loads(out.read_text())["groups"]) == 16
    assert main(["transfer", str(built)]) == 2
    assert "1 groups to compare" in capsys.readouterr().err
