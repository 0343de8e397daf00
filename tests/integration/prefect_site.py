"""A Prefect server on Postgres and workers, with the settings that infra/compose.yaml gives them."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tests.integration.processes import kill, start

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "infra" / "compose.yaml"
POOL = "negset"
SOON = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3",
    "PREFECT_SERVER_SERVICES_SCHEDULER_DEPLOYMENT_BATCH_SIZE": "100",
}
"""What a test does not wait for as long as a server in earnest does."""
Found = TypeVar("Found")


def compose_command(service: str, **changes: str) -> list[str]:
    """Give the command of `service` in infra/compose.yaml for this Python, with other values for some options."""
    found = [sys.executable, "-m", *yaml.safe_load(COMPOSE.read_text())["services"][service]["command"]]
    for name, value in changes.items():
        found[found.index(f"--{name}") + 1] = value
    return found


def compose_environment(service: str, values: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of `service` in infra/compose.yaml with `values` for its variables."""
    said = yaml.safe_load(COMPOSE.read_text())["services"][service]["environment"]
    return {name: re.sub(r"\$\{(\w+)[^}]*\}", lambda found: values[found[1]], value) for name, value in said.items()}


@dataclass
class Site:
    """A server, its workers, and where their output lies."""

    folder: Path
    database: str
    auth: str = field(default_factory=lambda: f"admin:{secrets.token_hex(16)}")
    port: int = field(default_factory=lambda: _free_port())
    server: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pages(self) -> str:
        """Give the address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        """Give the address of the API."""
        return f"{self.pages}/api"

    def values(self) -> dict[str, str]:
        """Give what infra/make_env.py would have written."""
        return {
            "PREFECT_AUTH_STRING": self.auth,
            "POSTGRES_PASSWORD": "not-used-on-a-socket",
            "STORE_ACCESS_KEY": "no",
            "STORE_SECRET_KEY": "no",
        }

    def client_environment(self) -> dict[str, str]:
        """Give the environment of whoever talks to the server from this machine."""
        return {**_bare(), "PREFECT_API_URL": self.api, "PREFECT_API_AUTH_STRING": self.auth}

    def start_server(self) -> None:
        """Start the server; it answers some time later."""
        here = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.database,
            "PREFECT_SERVER_UI_API_URL": self.api,
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.folder / "ui"),
            "PREFECT_HOME": str(self.folder / "server"),
        }
        environment = {**_bare(), **compose_environment("server", self.values()), **here, **SOON}
        command = compose_command("server", host="127.0.0.1", port=str(self.port))
        self.server = start(command, environment, self.folder / "server.log")

    def start_worker(self, home: Path, pool: str = POOL) -> subprocess.Popen[bytes]:
        """Start a worker whose runs build into the NEGSET_HOME `home`, and give its process."""
        name = f"worker-{len(self.workers)}"
        theirs = compose_environment("worker", self.values())
        here = {
            **self.client_environment(),
            "NEGSET_HOME": str(home),
            "PREFECT_HOME": str(self.folder / name),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        elsewhere = ("NEGSET_SETS", "NEGSET_STORE", "AWS_")
        environment = {**{key: theirs[key] for key in theirs if not key.startswith(elsewhere)}, **here}
        command = [*compose_command("worker", pool=pool), "--name", name]
        worker = start(command, environment, self.folder / f"{name}.log")
        self.workers.append(worker)
        return worker

    def post(self, path: str, body: object) -> Any:
        """Ask the server and give its answer."""
        return self._asked("POST", path, json=body)

    def get(self, path: str) -> Any:
        """Ask the server and give its answer."""
        return self._asked("GET", path)

    def patch(self, path: str, body: object) -> None:
        """Change something on the server."""
        self._asked("PATCH", path, json=body)

    def _asked(self, method: str, path: str, **values: Any) -> Any:
        with httpx.Client(auth=self._basic(), timeout=60) as client:
            headers = {}
            if method != "GET":
                token = client.get(f"{self.api}/csrf-token", params={"client": "tests"}).raise_for_status().json()
                headers = {"Prefect-Csrf-Token": token["token"], "Prefect-Csrf-Client": "tests"}
            response = client.request(method, f"{self.api}{path}", headers=headers, **values).raise_for_status()
        return response.json() if response.content else None

    def answers(self) -> bool:
        """Say whether the server is there and knows us."""
        try:
            return httpx.get(f"{self.api}/admin/version", auth=self._basic(), timeout=5).is_success
        except httpx.TransportError:
            return False

    def deployment(self, name: str) -> dict[str, Any]:
        """Read a deployment by `flow/name`."""
        found: dict[str, Any] = self.get(f"/deployments/name/{name}")
        return found

    def trigger(self, deployment: str, **parameters: object) -> str:
        """Have a run of `deployment` start now, and give its id."""
        identity = self.deployment(deployment)["id"]
        run = self.post(f"/deployments/{identity}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def runs(self, deployment: str, states: Sequence[str]) -> list[dict[str, Any]]:
        """List the runs of a deployment that are in one of `states`."""
        asked = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": list(states)}}},
        }
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", asked)
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        """List the runs that bear this name."""
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
        return found

    def artifact(self, key: str) -> dict[str, Any]:
        """Read the latest artifact under `key`."""
        asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        found: dict[str, Any] = self.post("/artifacts/filter", asked)[0]
        return found

    def events(self, name: str, resource: str) -> list[dict[str, Any]]:
        """List the events called `name` about `resource`."""
        asked = {"event": {"name": [name]}, "resource": {"id": [resource]}}
        found: list[dict[str, Any]] = self.post("/events/filter", {"filter": asked})["events"]
        return found

    def run(self, identity: str) -> dict[str, Any]:
        """Read a run of a flow."""
        found: dict[str, Any] = self.get(f"/flow_runs/{identity}")
        return found

    def states(self, identity: str) -> list[str]:
        """List the names of the states that a run went through, oldest first."""
        states = self.get(f"/flow_run_states/?flow_run_id={identity}")
        return [one["name"] for one in sorted(states, key=lambda one: one["timestamp"])]

    def finished(self, identity: str, seconds: float = 240) -> dict[str, Any]:
        """Wait until a run is over and give it."""
        over = ("COMPLETED", "FAILED", "CANCELLED")
        return wait_for(
            lambda: next((run for run in [self.run(identity)] if run["state_type"] in over), None),
            f"run {identity} to end",
            seconds,
        )

    def stop(self) -> None:
        """Kill everything that was started."""
        for process in [*self.workers, *([self.server] if self.server else [])]:
            kill(process)

    def _basic(self) -> tuple[str, str]:
        user, _, password = self.auth.partition(":")
        return user, password


def wait_for(find: Callable[[], Found | None], what: str, seconds: float = 120) -> Found:
    """Give the first result of `find` that is not empty; raise TimeoutError after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > until:
            message = f"waited {seconds:.0f} s in vain for {what}"
            raise TimeoutError(message)
        time.sleep(0.25)
    return found


def _bare() -> dict[str, str]:
    """Give this process's environment without what it says of Prefect and negset."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "NEGSET_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
