"""What the doctor says of a build file, and how its command ends."""

import json

import pytest

from flows.cli import main
from flows.doctor.dataset import check_dataset, read_dataset
from flows.doctor.findings import examine, ok, warn, worst
from negset.errors import EnvironmentFault


def test_a_good_file(build_file):
    config, said = read_dataset(build_file, [])
    assert [one.verdict for one in [*said, *check_dataset(config)]] == ["ok"] * 3


def test_a_file_that_is_wrong_ends_there(build_file):
    build_file.write_text(f"{build_file.read_text()}[schedule]\ncorn = 1\n")
    config, (only,) = read_dataset(build_file, [])
    assert (config, only.verdict, "'corn'" in only.found) == (None, "fail", True)


def test_the_newest_partition_is_looked_at(monthly_file):
    config, _ = read_dataset(monthly_file, [])
    assert config.partition == "2024-03"
    config, (only,) = read_dataset(monthly_file, ["partitions.start=2999-01", "partitions.end="])
    assert (config, only.found.endswith("no partition is expected yet")) == (None, True)


def test_a_source_that_is_not_there_and_a_rule_that_is_none(build_file):
    config, _ = read_dataset(build_file, ["source.path=nowhere", "recipe.name=naive"])
    said = {one.name: one.verdict for one in check_dataset(config)}
    assert said == {"recipe": "ok", "source": "fail"}
    config, _ = read_dataset(build_file, ["recipe.name=rocket"])
    assert {one.name: one.verdict for one in check_dataset(config)}["recipe"] == "fail"


def test_an_error_of_one_check_hides_no_other():
    def broken():
        raise EnvironmentFault("the disk is gone")

    checks = [("a", lambda: [ok("a", "fine")]), ("b", broken), ("c", lambda: [warn("c", "so-so", "mend it")])]
    said = examine([*checks, ("d", lambda: [][0])])
    assert [(one.name, one.verdict) for one in said] == [("a", "ok"), ("b", "fail"), ("c", "warn"), ("d", "fail")]
    assert (worst(said), worst(said[:3:2]), worst(said[:1])) == ("fail", "warn", "ok")


@pytest.mark.parametrize(("path", "code"), [("beir", 0), ("nowhere", 1)])
def test_the_exit_code_and_the_json(build_file, home, monkeypatch, capsys, tmp_path, path, code):
    home.mkdir()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    told = tmp_path / "doctor.json"
    assert main(["doctor", str(build_file), "--set", f"source.path={path}", "--json", str(told)]) == code
    said = json.loads(told.read_text())
    assert {one["verdict"] for one in said} >= ({"ok", "fail"} if code else {"ok"})
    printed = capsys.readouterr().out
    assert all(one["found"] in printed for one in said)
    assert ("-> put it there, or change source.path" in printed) == bool(code)
    assert main(["doctor", str(build_file), "--set", f"source.path={path}", "--json", "-"]) == code
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == [one["name"] for one in said]
