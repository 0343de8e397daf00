"""Pull the plug: a killed build goes on from what it had and ends with the same version."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from negset.publishing.verify import verify_set

pytestmark = pytest.mark.flow

_COMMAND = [sys.executable, "-m", "flows.cli", "build"]


@pytest.fixture
def environment(prefect_server, tmp_path):
    return lambda name: {**os.environ, "NEGSET_HOME": str(tmp_path / name)}


def _finish(build_file: Path, environment: dict[str, str]) -> Path:
    run = subprocess.run(
        [*_COMMAND, str(build_file)], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.split()[1])


def _kill_when(build_file: Path, environment: dict[str, str], sign: Path) -> None:
    """Kill the build with SIGKILL as soon as `sign` is there."""
    process = subprocess.Popen(
        [*_COMMAND, str(build_file)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 240
    while not sign.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert sign.exists()


def test_a_build_killed_again_and_again_ends_with_the_version_of_an_undisturbed_one(build_file, environment, tmp_path):
    expected = _finish(build_file, environment("undisturbed"))
    home = tmp_path / "killed"
    sets = home / "sets" / "small"
    for sign in ("store/shard", "store/cell", "store/selection", "sets/small/staging"):
        _kill_when(build_file, environment("killed"), home / sign)
        assert not (sets / "LATEST").exists()
    version = _finish(build_file, environment("killed"))
    assert version.name == expected.name
    assert verify_set(sets).id == version.name
    assert [path.name for path in (sets / "versions").iterdir()] == [version.name]
