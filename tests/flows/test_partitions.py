"""Partitions by the command line: a sub-flow each, shared cells once, holes with an exit code of their own."""

import json

import httpx
import polars as pl
import pytest

from flows.cli import main
from negset.publishing.verify import verify_set

pytestmark = pytest.mark.flow


def stand(path):
    return {one["key"]: one["state"] for one in json.loads(path.read_text())["partitions"]}


def test_a_backfill_runs_a_subflow_for_each_partition_and_mines_shared_cells_once(
    prefect_server, home, monthly_file, tmp_path, capsys
):
    told = tmp_path / "status.json"
    assert main(["backfill", str(monthly_file), "--dry-run", "--json", str(told)]) == 0
    assert "would build 3: 2024-01, 2024-02, 2024-03" in capsys.readouterr().out
    assert set(stand(told).values()) == {"missing"}
    assert not (home / "sets").exists()

    assert main(["backfill", str(monthly_file), "--json", str(told)]) == 0
    assert set(stand(told).values()) == {"published"}
    assert "3 partitions: 3 published\nnewest      2024-03, up to date" in capsys.readouterr().out
    # January's documents are in all three corpora, February's in two: six cells, of which three are different.
    assert len(list((home / "store" / "cell").iterdir())) == 3
    for key in stand(told):
        assert verify_set(home / "sets" / "log" / key).folder.parent.parent.name == key

    # The server is shared with other tests: the newest run of each name is this one's.
    names = ["backfill log", *(f"log/{key}" for key in stand(told))]
    asked = {"flow_runs": {"name": {"any_": names}}, "sort": "START_TIME_ASC"}
    runs = httpx.post(f"{prefect_server}/flow_runs/filter", json=asked).json()
    named = {run["name"]: run["parent_task_run_id"] for run in runs}
    assert all(named[f"log/{key}"] for key in stand(told))
    assert named["backfill log"] is None
    wanted = {"artifacts": {"key": {"any_": ["negset-partitions-log"]}}}
    (shown,) = httpx.post(f"{prefect_server}/artifacts/latest/filter", json=wanted).json()
    assert {row["state"] for row in json.loads(shown["data"])} == {"published"}

    before = {path: path.read_bytes() for path in home.rglob("attempts.jsonl")}
    assert main(["backfill", str(monthly_file)]) == 0
    assert {path: path.read_bytes() for path in home.rglob("attempts.jsonl")} == before


def test_a_partition_without_data_is_a_hole_and_stops_no_other(prefect_server, home, build_file, tmp_path, capsys):
    beir = tmp_path / "beir"
    (tmp_path / "by").mkdir()
    beir.rename(tmp_path / "by" / "v1")
    text = build_file.read_text().replace('path = "beir"', 'path = "by/{partition}"')
    build_file.write_text(f'{text}[partitions]\nkind = "release"\nnames = ["v0", "v1"]\n')
    told = tmp_path / "status.json"
    assert main(["build", str(build_file)]) == 2
    assert "name one with --partition" in capsys.readouterr().err
    assert main(["backfill", str(build_file), "--json", str(told)]) == 3
    assert stand(told) == {"v0": "no data", "v1": "published"}
    assert "1 of 2 partitions of 'small' are holes: v0 (no data)" in capsys.readouterr().out
    assert main(["build", str(build_file), "--partition", "latest"]) == 0
    assert "small/v1/versions" in capsys.readouterr().out
    assert main(["build", str(build_file), "--partition", "v0"]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["status", str(build_file), "--from", "v1", "--json", str(told)]) == 0
    assert stand(told) == {"v1": "published"}


def test_a_gate_that_says_no_is_recorded_with_its_reason(prefect_server, home, monthly_file, tmp_path, capsys):
    told = tmp_path / "status.json"
    command = [str(monthly_file), "--to", "2024-01", "--json", str(told), "--set", "publish.licence=mit"]
    strict = ["--set", "gates.drift.policy=fail", "--set", "gates.drift.max_growth=1.01"]
    assert main(["backfill", *command, *strict]) == 0  # the first of its line is compared with nothing
    corpus = pl.read_parquet(tmp_path / "log" / "corpus.parquet")
    more = corpus.with_columns(
        doc_id=pl.col("doc_id") + "x", text=pl.col("text") + " more", created_at=pl.lit("2024-01-03")
    )
    pl.concat([corpus, more]).write_parquet(tmp_path / "log" / "corpus.parquet")
    assert main(["status", *command, *strict]) == 0
    assert stand(told) == {"2024-01": "late data"}
    assert main(["backfill", *command, *strict, "--only", "stale"]) == 3
    (one,) = json.loads(told.read_text())["partitions"]
    assert one["state"] == "failed"
    assert one["why"].startswith("ValidationFailed: ")
    assert one["version"] == (home / "sets" / "log" / "2024-01" / "LATEST").read_text().strip()
    capsys.readouterr()
