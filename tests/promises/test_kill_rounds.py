"""Pull the plug in the middle of rounds: what goes on ends with the sets and the model of an undisturbed run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.flow, pytest.mark.integration, pytest.mark.timeout(900)]

_OPTIONS = ("dimensions=16", "epochs=40", "device=cpu", "checkpoint_every=3")


@pytest.fixture
def command(build_file):
    changes = [part for option in _OPTIONS for part in ("--set", f"train.{option}")]
    asked = ["--rounds", "2", "--set", "rounds.validation=0.25", "--set", "rounds.depth=100"]
    return [sys.executable, "-m", "flows.cli", "rounds", str(build_file), *asked, *changes]


def _start(command: list[str], home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "NEGSET_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(command: list[str], home: Path) -> None:
    process = _start(command, home)
    _, told = process.communicate(timeout=400)
    assert process.returncode in (0, 3), told


def _kill_when(command: list[str], home: Path, sign: Callable[[], bool]) -> None:
    process = _start(command, home)
    until = time.monotonic() + 400
    while not sign() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert sign()


def _outcome(home: Path) -> dict[str, bytes]:
    """Give the bytes of all that a loop leaves for others: figures, models, manifests of all versions."""
    (folder,) = (home / "runs").iterdir()
    kept = [folder / "rounds.json", *sorted(folder.glob("*/model/**/*")), *sorted(folder.glob("*/trained.json"))]
    versions = sorted((home / "sets" / "small" / "versions").glob("*/manifest.json"))
    return {str(path.relative_to(home)): path.read_bytes() for path in [*kept, *versions] if path.is_file()}


def test_rounds_killed_again_and_again_end_as_if_nothing_had_happened(command, tmp_path, prefect_server):
    _finish(command, tmp_path / "undisturbed")
    home = tmp_path / "killed"

    def there(pattern: str, count: int = 1) -> Callable[[], bool]:
        return lambda: len(list(home.glob(pattern))) >= count

    _kill_when(command, home, there("runs/*/round-1/checkpoint*"))  # within a training
    _kill_when(command, home, there("sets/small/versions/*", 2))  # the second set is published, not on record
    _finish(command, home)
    expected = _outcome(tmp_path / "undisturbed")
    assert len([name for name in expected if name.endswith("manifest.json")]) == 2
    assert _outcome(home) == expected
