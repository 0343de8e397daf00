"""Sub-flows in processes of their own: a worker that is killed takes no other partition with it."""

import importlib
import logging
from types import SimpleNamespace

import pytest

from flows.workers import run_apart

_WORK = """
import os
from pathlib import Path

def run(context, config, key, only, label):
    tries = Path(config.folder) / key
    with tries.open("a") as file:
        file.write("x")
    if key.startswith("kills") and (key == "kills-always" or tries.stat().st_size == 1):
        os.kill(os.getpid(), 9)
    if key == "fails":
        raise ValueError("no")
    return "0123"
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Give what a worker runs: a module that a new process can import."""
    (tmp_path / "work_of_a_test.py").write_text(_WORK)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("work_of_a_test").run


@pytest.mark.timeout(280)
def test_a_killed_worker_is_begun_again_once_and_the_others_are_run_once(work, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="negset.backfill")
    (tmp_path / "tries").mkdir()
    config = SimpleNamespace(name="log", folder=str(tmp_path / "tries"))
    keys = ["kills-once", "fine", "kills-always", "fails", "last"]
    run_apart(work, [(config, key, "", "b1") for key in keys], 1)
    tries = {path.name: path.stat().st_size for path in (tmp_path / "tries").iterdir()}
    assert tries == {"kills-once": 2, "fine": 1, "kills-always": 2, "fails": 1, "last": 1}
    said = [record.getMessage() for record in caplog.records if record.name == "negset.backfill"]
    assert said == [
        "log/kills-once: 0123",
        "log/fine: 0123",
        "log/kills-always: its process was killed twice (out of memory?)",
        "log/fails: ValueError: no",
        "log/last: 0123",
    ]
