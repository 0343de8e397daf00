"""A Prefect server of the command's own, for a machine on which none is running.

Prefect's temporary server outlives a parent that is killed. This one holds the reading end of its parent's pipe
and leaves when the pipe closes, however the parent died. It starts while the parent imports its libraries.
"""

import os
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_HOST = "127.0.0.1"


def server_is_configured(environment: Mapping[str, str]) -> bool:
    """Say whether Prefect would find a server by itself: in `environment` or in its active profile."""
    if environment.get("PREFECT_API_URL"):
        return True
    home = Path(environment.get("PREFECT_HOME", "~/.prefect")).expanduser()
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return False
    active = environment.get("PREFECT_PROFILE", profiles.get("active", ""))
    return bool(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))


@contextmanager
def local_server(environment: Mapping[str, str]) -> Iterator[str]:
    """Start a server with `environment`, give its API's URL, and stop it on leaving.

    The URL answers at once: a request that comes before the server is ready waits in the socket's queue.
    """
    settings = {
        **environment,
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.local_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=settings,
    )
    if process.stdin is None or process.stdout is None:
        message = "the local Prefect server has no pipe"
        raise RuntimeError(message)
    try:
        port = process.stdout.readline().strip()
        yield f"http://{_HOST}:{port}/api"
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


def _leave_with_parent() -> None:
    """Wait until the pipe from the parent closes, then leave at once: nothing of the server's needs saving."""
    sys.stdin.read()
    os._exit(0)


def _serve() -> None:
    listener = socket.create_server((_HOST, 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_leave_with_parent, daemon=True).start()

    import uvicorn  # noqa: PLC0415 - the port is told before the slow imports
    from prefect.server.api.server import create_app  # noqa: PLC0415

    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    _serve()
