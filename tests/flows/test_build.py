"""The build flow: what runs, what is taken from the cache, and what stays as it is."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from flows.build import build
from flows.cli import main
from negset.cleaning.uses import read_uses
from negset.configuration import load_build_config
from negset.errors import ValidationFailed
from negset.indexes import ivf_flat
from negset.planning import plan_build
from negset.publishing.verify import verify_set
from tasks.place import Place

pytestmark = pytest.mark.flow


class EndStates(logging.Handler):
    """Note in which state each task run ends, as Prefect logs it: under load its server may never learn of it."""

    def __init__(self):
        super().__init__()
        self.rooms = {}

    def emit(self, record):
        found = re.match(r"Finished in state (\w+)\(", record.getMessage())
        if found:
            self.rooms[record.task_run_name.rpartition("-")[0]] = found[1]


@pytest.fixture
def ran(prefect_server, home):
    """Give a function that runs a build and says which rooms ran and which were taken from the cache."""

    def run(path: Path, *overrides: str):
        states, log = EndStates(), logging.getLogger("prefect.task_runs")
        level = log.level
        log.addHandler(states)
        log.setLevel(logging.INFO)
        try:
            return build(load_build_config(path, overrides)), states.rooms
        finally:
            log.removeHandler(states)
            log.setLevel(level)

    return run


def test_a_second_build_takes_every_room_from_the_cache_and_gives_the_same_id(ran, build_file):
    first, rooms = ran(build_file)
    assert set(rooms.values()) == {"Completed"}
    verify_set(Path(first.path))
    again, rooms = ran(build_file)
    assert set(rooms.values()) == {"Cached"}
    assert again == first


def test_after_gc_the_rooms_of_the_latest_version_are_still_there(ran, build_file, home):
    """Keeping what a build used last, or what is young, would do as well here only by chance: all limits are 0."""
    old, _ = ran(build_file)
    made, _ = ran(build_file, "seed=14")
    lost = Place().open_store().folder("selection", "f" * 64)
    shutil.copytree(next(lost.parent.iterdir()), lost)
    manifest = json.loads((lost / "manifest.json").read_text()) | {"fingerprint": "f" * 64}
    (lost / "manifest.json").write_text(json.dumps(manifest))
    assert main(["gc", "--keep", "1", "--days", "0", "--grace", "0", "--unused", "0", "--delete"]) == 0
    assert not lost.exists()
    again, rooms = ran(build_file, "seed=14")
    assert (again.fingerprint, set(rooms.values())) == (made.fingerprint, {"Cached"})
    assert Path(old.path).exists()  # the latest is compared with it
    assert len(read_uses(Place().open_store().root)) == 2


def test_changing_only_the_recipe_runs_nothing_before_select(ran, build_file):
    first, _ = ran(build_file)
    changed, rooms = ran(build_file, "recipe.negatives=2")
    assert {room for room, state in rooms.items() if state == "Completed"} == {"select", "validate", "publish"}
    assert changed.fingerprint != first.fingerprint


def test_going_back_to_a_former_recipe_only_moves_the_pointer(ran, build_file, home):
    first, _ = ran(build_file)
    ran(build_file, "recipe.negatives=2")
    back, rooms = ran(build_file)
    assert {room for room, state in rooms.items() if state == "Completed"} == {"publish"}
    assert back == first
    assert (home / "sets" / "small" / "LATEST").read_text().strip() == first.fingerprint


def test_a_damaged_cell_is_mined_again(ran, build_file, home):
    first, _ = ran(build_file)
    cell = next((home / "store" / "cell").rglob("candidates.npy"))
    cell.write_bytes(cell.read_bytes()[:-10])
    again, rooms = ran(build_file, "recipe.name=shifted")
    assert "mine" in rooms
    assert again.fingerprint != first.fingerprint
    verify_set(Path(again.path))


def test_an_index_is_a_room_of_its_own_and_what_is_damaged_is_built_again(ran, build_file, home, monkeypatch):
    monkeypatch.setattr(ivf_flat, "FEWEST", 20)
    options = ("mine.depth=5", "mine.dense.index=ivf-flat", "mine.dense.nprobe=2", "gates.min_index_recall=0")
    first, rooms = ran(build_file, *options)
    assert rooms["index"] == "Completed"
    verify_set(Path(first.path))
    again, rooms = ran(build_file, *options)
    assert (set(rooms.values()), again) == ({"Cached"}, first)
    path = next((home / "store" / "index").rglob("*.faiss"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    again, rooms = ran(build_file, *options, "recipe.negatives=2")
    assert (rooms["index"], rooms["mine"]) == ("Completed", "Cached")
    with pytest.raises(ValidationFailed, match=r"finds 0\.\d+ of the exact candidates"):
        ran(build_file, *options[:2], "mine.dense.nprobe=1", "gates.min_index_recall=1")


def test_the_ui_of_a_server_gets_the_page_and_the_counts(ran, build_file, prefect_server):
    published, _ = ran(build_file, "recipe.negatives=1", "name=shown")
    transport = httpx.HTTPTransport(retries=3)
    with httpx.Client(transport=transport, timeout=60) as client:
        until = time.monotonic() + 60
        while (response := client.post(f"{prefect_server}/artifacts/latest/filter", json={})).status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.5)
    artifacts = {artifact["key"]: artifact for artifact in response.json()}
    assert {"negset-page", "negset-candidates", "negset-queries"} <= set(artifacts)
    assert published.fingerprint in artifacts["negset-page"]["data"]
    assert '"candidates": "chosen", "count": 16' in artifacts["negset-candidates"]["data"]


def test_bm25_alone_needs_no_encoder(ran, build_file):
    published, rooms = ran(build_file, 'mine.miners=["bm25"]')
    assert not {"encoder", "embed"} & set(rooms)
    verify_set(Path(published.path))


def test_the_command_needs_no_server(build_file, tmp_path):
    """`negset build` starts its own server, publishes, and leaves no process behind."""
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= {"NEGSET_HOME": str(tmp_path / "home"), "PREFECT_HOME": str(tmp_path / "prefect")}
    run = subprocess.run(
        [sys.executable, "-m", "flows.cli", "build", str(build_file)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    version = Path(run.stdout.split()[1])
    assert verify_set(version).id == version.name
    assert "queries     16: " in run.stdout


def test_show_and_plan_follow_a_build(build_file, beir, home, prefect_server, capsys):
    assert main(["plan", str(build_file)]) == 0
    assert "ingest          runs" in capsys.readouterr().out
    assert main(["build", str(build_file)]) == 0
    capsys.readouterr()
    assert main(["plan", str(build_file)]) == 0
    planned = capsys.readouterr().out
    assert "runs" not in planned
    assert "mining peaks at 0." in planned
    assert main(["plan", str(build_file), "--set", "recipe.negatives=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " runs" in line] == ["select", "validate", "publish"]
    assert main(["show", str(home / "sets" / "small"), "--query", "q01"]) == 0
    shown = capsys.readouterr().out
    texts = {row["_id"]: row["text"] for row in map(json.loads, (beir / "corpus.jsonl").read_text().splitlines())}
    rows = [line.split("│") for line in shown.splitlines() if line.startswith("│")]
    named = [(cell.strip(), row[-2].strip()) for row in rows for cell in row[1:3] if cell.strip() in texts]
    assert len(named) > 4
    assert all(texts[document].startswith(text.rstrip("…")) for document, text in named)
    assert ("d002", texts["d002"][:96].strip()) in named
    assert "known_positive" in shown


def test_a_guide_is_asked_once_and_changing_it_mines_nothing_again(ran, build_file, tmp_path):
    recipe = tmp_path / "guided.toml"
    recipe.write_text('[[rules]]\nname = "margin"\nby = "guide"\n[[rules]]\nname = "top"\nk = 2\n')
    guided = (f"recipe.name={recipe}", "recipe.negatives=2", "teach.guide.encoder.dimensions=30")
    first, rooms = ran(build_file, *guided)
    assert rooms["teach"] == "Completed"
    verify_set(Path(first.path))
    config = load_build_config(build_file, guided)
    assert {room.state for room in plan_build(config, Place().open_store())} == {"cached"}
    stricter, rooms = ran(build_file, *guided, "recipe.options.margin.margin=0.1")
    assert {room for room, state in rooms.items() if state == "Completed"} == {"select", "validate", "publish"}
    wider, rooms = ran(build_file, *guided[:2], "teach.guide.encoder.dimensions=40")
    assert rooms["mine"] == "Cached"
    assert {room for room, state in rooms.items() if state == "Completed"} >= {"embed", "teach", "select"}
    assert len({ref.fingerprint for ref in (first, stricter, wider)}) == 3


def test_a_teacher_that_no_rule_reads_leaves_the_set_as_it_is(ran, build_file):
    first, rooms = ran(build_file)
    assert "teach" not in rooms
    assert ran(build_file, "teach.guide.encoder.dimensions=40")[0] == first
