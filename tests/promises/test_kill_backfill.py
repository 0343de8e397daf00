"""Pull the plug on a backfill of two workers: what goes on ends with the bytes of an undisturbed one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from negset.periods.attempts import is_building

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

_DATED = ("bag-info.txt", "provenance.intoto.json", "tagmanifest-sha256.txt")
"""Papers of a version that say who published it when, or hold the digests of these."""


def _start(build_file: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NEGSET_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "flows.cli", "backfill", str(build_file), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(build_file: Path, home: Path, *options: str) -> None:
    process = _start(build_file, home, *options)
    _, told = process.communicate(timeout=280)
    assert process.returncode == 0, told


def _versions(home: Path) -> dict[str, bytes]:
    """Give the bytes of all pointers and versions, without what says when they were published."""
    sets = home / "sets" / "log"
    files = [*sets.glob("*/LATEST"), *(path for path in sets.glob("*/versions/**/*") if path.is_file())]
    kept = [path for path in files if path.name not in _DATED and "data_docs" not in path.parts]
    return {path.relative_to(sets).as_posix(): path.read_bytes() for path in kept}


def _published(home: Path) -> set[str]:
    return {path.parent.name for path in (home / "sets" / "log").glob("*/LATEST")}


def test_a_backfill_killed_between_partitions_goes_on_to_the_same_bytes(prefect_server, monthly_file, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _finish(monthly_file, whole)
    process = _start(monthly_file, cut, "--max-parallel", "2")
    until = time.monotonic() + 280
    while not _published(cut) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)  # ends once the workers, who hold the pipes too, have left after it
    done = _published(cut)
    assert done
    assert done != _published(whole), "killed too late to tell anything"
    before = {key: (cut / "sets" / "log" / key / "history.jsonl").read_bytes() for key in done}
    assert not any(is_building(cut / "sets" / "log" / key) for key in _published(whole))
    _finish(monthly_file, cut, "--max-parallel", "2")
    assert _versions(cut) == _versions(whole)
    after = {key: (cut / "sets" / "log" / key / "history.jsonl").read_bytes() for key in done}
    assert before == after  # what was done is not done again


def test_two_backfills_at_once_publish_each_partition_once(prefect_server, monthly_file, tmp_path):
    home = tmp_path / "both"
    first, second = _start(monthly_file, home, "--to", "2024-02"), _start(monthly_file, home, "--to", "2024-02")
    for process in (first, second):
        _, told = process.communicate(timeout=280)
        assert process.returncode == 0, told
    for key in ("2024-01", "2024-02"):
        place = home / "sets" / "log" / key
        assert len((place / "history.jsonl").read_text().splitlines()) == 1
        assert len((place / "attempts.jsonl").read_text().splitlines()) == 1
        assert len(list((place / "versions").iterdir())) == 1
