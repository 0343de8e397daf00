"""Training of a published set in two processes, and a merge that learns on it, as commands."""

import json
from pathlib import Path

import pytest

from flows.build import build
from flows.cli import main
from negset.configuration import load_build_config

pytestmark = pytest.mark.flow


def test_two_processes_train_on_a_set_and_a_merge_learns_on_it(prefect_server, home, build_file, tmp_path, capsys):
    version = str(build(load_build_config(build_file)).path)
    settings = ["--set", "epochs=2", "--set", "batch_size=8", "--set", "dimensions=16"]
    # The plan is made anew between the epochs: the process that does it opens the set by itself.
    settings += ["--set", "plan=ngame", "--set", "plan_options.size=4", "--set", "plan_refresh=1"]
    assert main(["train", version, "--processes", "2", *settings]) == 0
    capsys.readouterr()
    metrics = next(home.rglob("metrics.json"))
    assert json.loads(metrics.read_text())["steps"] == 4
    assert not list(metrics.parent.glob("replanned-*"))
    model = metrics.parent / "model"
    out = tmp_path / "merged"
    assert main(["merge", str(model), str(model), "--learn", version, "--steps", "3", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "loss of 16 training queries" in said
    assert f"1.000  {model}" in said
    assert (out / "modules.json").is_file()
    assert Path(out / "merge.json").is_file()
