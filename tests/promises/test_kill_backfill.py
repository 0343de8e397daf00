"""Pull the plug on a backfill of two workers: what goes on ends with the bytes of an undisturbed one.

The example of docs/partitions.md, with generated pages in place of tldr's.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from negset.periods.attempts import is_building

pytestmark = [pytest.mark.flow, pytest.mark.integration, pytest.mark.timeout(600)]

WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch marsh north oxbow".split()
_DATED = ("bag-info.txt", "provenance.intoto.json", "tagmanifest-sha256.txt")
"""Papers of a version that say who published it when, or hold the digests of these."""


@pytest.fixture
def snapshots_file(tmp_path: Path, collection: Callable[..., Path]) -> Path:
    """Give a build file over three yearly snapshots of pages, of which some are new and some reworded each year."""
    texts = {
        f"p{page:02}": f"{WORDS[page % 15]} {WORDS[page // 15]} {WORDS[page * 7 % 15]} page{page}" for page in range(60)
    }
    rows = [
        (f"{year}-01-01", page, f"{text} since{year}" if place % 5 == year - 2023 else text)
        for year in (2023, 2024, 2025)
        for place, (page, text) in enumerate(texts.items())
        if place < 40 + 10 * (year - 2023)
    ]
    asked = {f"q{place:02}": f"p{place:02}" for place in range(0, 40, 2)}
    spoken = {query: f"{texts[page].rsplit(' ', 1)[0]} ask{query}" for query, page in asked.items()}
    folder = collection(tmp_path / "pages", texts, spoken, [(query, page, 1) for query, page in asked.items()])
    pl.DataFrame(rows, schema=["as_of", "doc_id", "text"], orient="row").write_parquet(folder / "snapshots.parquet")
    path = tmp_path / "pages.toml"
    path.write_text(
        'name = "pages"\n[source]\nformat = "parquet"\npath = "pages"\ncorpus = "snapshots.parquet"\n'
        '[encoder]\nbackend = "hashing"\ndimensions = 16\n[mine]\nminers = ["dense"]\ndepth = 20\n'
        '[recipe]\nname = "naive"\nnegatives = 3\n[partitions]\nkind = "release"\n'
        'names = ["2023-01-01", "2024-01-01", "2025-01-01"]\ncolumn = "corpus.as_of"\n'
    )
    return path


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
    sets = home / "sets" / "pages"
    files = [*sets.glob("*/LATEST"), *(path for path in sets.glob("*/versions/**/*") if path.is_file())]
    kept = [path for path in files if path.name not in _DATED and "data_docs" not in path.parts]
    return {path.relative_to(sets).as_posix(): path.read_bytes() for path in kept}


def _published(home: Path) -> set[str]:
    return {path.parent.name for path in (home / "sets" / "pages").glob("*/LATEST")}


def test_a_backfill_killed_between_partitions_goes_on_to_the_same_bytes(prefect_server, snapshots_file, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _finish(snapshots_file, whole)
    process = _start(snapshots_file, cut, "--max-parallel", "2")
    until = time.monotonic() + 280
    while not _published(cut) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)  # ends once the workers, who hold the pipes too, have left after it
    done = _published(cut)
    assert done
    assert done != _published(whole), "killed too late to tell anything"
    before = {key: (cut / "sets" / "pages" / key / "history.jsonl").read_bytes() for key in done}
    assert not any(is_building(cut / "sets" / "pages" / key) for key in _published(whole))
    _finish(snapshots_file, cut, "--max-parallel", "2")
    assert _versions(cut) == _versions(whole)
    after = {key: (cut / "sets" / "pages" / key / "history.jsonl").read_bytes() for key in done}
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
