"""A Postgres of the tests' own, from Debian's binaries, on a socket in a folder of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.processes import stopped_with_us

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "listen_addresses": ""}
"""Nothing here outlives the test, and no port is opened."""


class NoPostgres(Exception):  # noqa: N818 - a fact about the machine
    """Why no cluster can be made here."""


def find_binaries() -> Path:
    """Give the folder of `initdb` and `postgres`, the newest; raise NoPostgres where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        message = "no Postgres binaries: apt-get install postgresql, or put initdb on PATH"
        raise NoPostgres(message)
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


@contextmanager
def postgres() -> Iterator[str]:
    """Run a cluster while the block runs, and give the address of its database for SQLAlchemy."""
    binaries, user = find_binaries(), find_user()
    folder = Path(tempfile.mkdtemp(prefix="negset-pg-", dir="/tmp"))  # a socket's path is short
    if user:
        shutil.chown(folder, user["user"], user["group"])
    data, log = folder / "data", (folder / "log").open("w+")
    command: dict[str, Any] = {"stdout": log, "stderr": log, "cwd": folder, **user}
    made = ["-D", str(data), "-U", "prefect", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run([binaries / "initdb", *made], check=True, **command)
    options = [part for name, value in FAST.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", folder, *options], preexec_fn=stopped_with_us, **command
    )
    try:
        _wait_for(folder / ".s.PGSQL.5432", server)
        yield f"postgresql+asyncpg://prefect@/postgres?host={folder}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(socket: Path, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > until:
            message = f"Postgres did not start: {(socket.parent / 'log').read_text()[-2000:]}"
            raise RuntimeError(message)
        time.sleep(0.1)


def find_user() -> dict[str, Any]:
    """Say as whom Postgres runs: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        found = pwd.getpwnam("postgres")
    except KeyError as error:
        message = "this is root, as whom Postgres does not run, and there is no user `postgres`"
        raise NoPostgres(message) from error
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
