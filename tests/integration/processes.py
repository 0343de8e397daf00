"""Processes that a test starts and kills: none outlives the test run, however that ends."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def stopped_with_us() -> None:
    """Have the kernel kill the process that calls this when its parent dies; to be called between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start `command` at the head of a group of processes of its own, with its output in `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            preexec_fn=stopped_with_us,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill `process` and its whole group at once, as a machine that loses its power does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def children(pid: int) -> list[int]:
    """List the processes below `pid`, its own children first."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for path in listed for child in path.read_text().split()]
    return below + [one for child in below for one in children(child)]
