import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from negset.errors import ContractError, EnvironmentFault, NegsetError
from negset.training.processes import run_processes


def die(world, say):
    """The second process is killed while the first waits for it."""
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(torch.ones(1))


def object_to_the_data(world, say):
    if world.rank == 1:
        message = "the loss of 1 queries is not finite: q7"
        raise ContractError(message)
    dist.all_reduce(torch.ones(1))


def stumble(world, say):
    if world.rank == 1:
        raise ZeroDivisionError
    dist.all_reduce(torch.ones(1))


def test_a_process_that_dies_ends_the_run_and_is_named():
    with pytest.raises(EnvironmentFault, match=r"process 1 of 2 ended by SIGKILL.*memory.*last checkpoint"):
        run_processes(die, 2, "gloo")


def test_an_error_of_ours_is_raised_as_it_is():
    with pytest.raises(ContractError, match="not finite: q7"):
        run_processes(object_to_the_data, 2, "gloo")


def test_a_defect_names_the_process_and_keeps_its_trace():
    with pytest.raises(NegsetError, match="process 1 of 2 failed: ZeroDivisionError") as raised:
        run_processes(stumble, 2, "gloo")
    assert "in stumble" in raised.value.__notes__[0]


_PARENT = """
import os, sys, time
from functools import partial
from pathlib import Path
from negset.training.processes import run_processes

def linger(folder, world, say):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    run_processes(partial(linger, sys.argv[1]), 2, "gloo")
"""


def test_the_processes_end_when_what_started_them_is_killed(tmp_path):
    """Else they would go on writing checkpoints beside the run that takes over."""
    script, folder = tmp_path / "parent.py", tmp_path / "pids"
    script.write_text(_PARENT)
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    parent = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment)
    _wait(lambda: len(list(folder.iterdir())) == 2)
    parent.kill()
    parent.wait()
    pids = [int(found.name) for found in folder.iterdir()]
    _wait(lambda: not any(_alive(pid) for pid in pids))


def _wait(condition) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
