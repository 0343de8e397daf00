"""The Prefect server in force: whether it answers, to whom, and whether it makes and runs what is scheduled."""

import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx

from flows.doctor.findings import Finding, fail, ok, warn
from flows.doctor.places import clock
from flows.local_server import server_is_configured

TIMEOUT: Final = 30.0
"""Seconds: a server that boots answers late, and is no failure yet."""
LATE: Final = 300.0
"""Seconds after which a run that should have begun says that no worker takes it."""


@dataclass(frozen=True)
class Server:
    """Where the API is, and how to be let in."""

    url: str
    headers: dict[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)

    def get(self, path: str) -> httpx.Response:
        """Ask for `path` with credentials."""
        return httpx.get(f"{self.url}{path}", headers=self.headers, auth=self.auth, timeout=TIMEOUT)

    def post(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for a list of objects."""
        response = httpx.post(
            f"{self.url}{path}", json=body, headers=self.headers, auth=self.auth, timeout=TIMEOUT
        ).raise_for_status()
        found: list[dict[str, Any]] = response.json()
        return found


def check_server() -> Iterator[Finding]:
    """Look at the server that Prefect's settings name."""
    if not server_is_configured(os.environ):
        yield ok("prefect server", "none is configured, so none was looked at; `negset deploy` needs PREFECT_API_URL")
        return
    yield from examine_server(_configured())


def _configured() -> Server:
    # Its settings are a profile's too; importing it takes a second.
    from prefect.settings import get_current_settings  # noqa: PLC0415

    api = get_current_settings().api
    user, _, password = api.auth_string.get_secret_value().partition(":") if api.auth_string else ("", "", "")
    headers = {"Authorization": f"Bearer {api.key.get_secret_value()}"} if api.key else {}
    return Server(str(api.url).rstrip("/"), headers, (user, password) if user else None)


def examine_server(server: Server) -> Iterator[Finding]:
    """Look at `server`; what needs an answer is left out where there is none."""
    try:
        before = time.time()
        answer = server.get("/admin/version")
    except httpx.HTTPError as error:
        told = f"{server.url} does not answer: {type(error).__name__}: {error}"
        yield fail("prefect server", told, "start it (prefect server start), or mend PREFECT_API_URL")
        return
    if answer.status_code in (401, 403):
        yield fail("prefect server", f"{server.url} refuses us", "set PREFECT_API_AUTH_STRING to the server's")
        return
    if not answer.is_success:
        yield fail("prefect server", f"{server.url} answers {answer.status_code}", "read the server's log")
        return
    yield _version(server.url, str(answer.json()))
    yield _open(server.url)
    if date := answer.headers.get("date"):
        # The header has whole seconds: half of one is the best guess.
        middle = (before + time.time()) / 2
        yield clock("clock of the server", parsedate_to_datetime(date).timestamp() + 0.5 - middle)
    try:
        yield from _schedules(server)
    except httpx.HTTPError as error:
        yield fail("schedules", f"could not be asked for: {type(error).__name__}: {error}", "read the server's log")


def _version(url: str, theirs: str) -> Finding:
    ours = version("prefect")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return warn("prefect server", f"{url} is {theirs}, this client {ours}", "install the same version at both ends")
    return ok("prefect server", f"{url} answers, version {theirs}")


def _open(url: str) -> Finding:
    """Ask without credentials, where the server is and, if that is this machine, at its other addresses too."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    mend = "set PREFECT_SERVER_API_AUTH_STRING where it starts, and bind it to 127.0.0.1 or a private network"
    if not _is_loopback(host):
        if _answers(url):
            return fail("server auth", f"{host} is no loopback address, and the API answers without credentials", mend)
        return ok("server auth", f"{host} refuses who has no credentials")
    others = [one for one in own_addresses() if _answers(_at(parts, one))]
    if others:
        return fail("server auth", f"the API answers without credentials at {', '.join(others)} too", mend)
    if _answers(url):
        return ok(
            "server auth", f"open, but at {host} alone: not at {', '.join(own_addresses()) or 'any other address'}"
        )
    return ok("server auth", f"{host} refuses who has no credentials")


def _at(parts: SplitResult, host: str) -> str:
    named = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{named}:{parts.port or (443 if parts.scheme == 'https' else 80)}"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/admin/version", timeout=3).is_success
    except httpx.HTTPError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        found = {one[4][0] for one in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)


def own_addresses() -> list[str]:
    """Name the addresses of this machine that others may reach it at."""
    found = set()
    try:
        found |= {str(one[4][0]) for one in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address to send from
            found.add(str(probe.getsockname()[0]))
        except OSError:
            pass
    return sorted(one for one in found if not ipaddress.ip_address(one.partition("%")[0]).is_loopback)


def _schedules(server: Server) -> Iterator[Finding]:
    """Say whether the runs of scheduled deployments of ours are made, and taken by a worker."""
    ours = [
        one
        for one in server.post("/deployments/filter", {"sort": "NAME_ASC"})
        if any(tag.startswith("negset:") for tag in one["tags"])
    ]
    timed = [one for one in ours if not one["paused"] and any(time["active"] for time in one["schedules"])]
    if not timed:
        yield ok(
            "schedules", f"{len(ours)} deployments of negset, none of them scheduled" if ours else "none of negset"
        )
        return
    names = ", ".join(one["name"] for one in timed)
    wanted = {"deployments": {"id": {"any_": [one["id"] for one in timed]}}}
    waiting = server.post("/flow_runs/filter", {**wanted, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
    without = [one["name"] for one in timed if one["id"] not in {run["deployment_id"] for run in waiting}]
    if without:
        yield fail(
            "schedules",
            f"no run is scheduled of {', '.join(without)}",
            "a minute after `negset deploy` there are some; else read the server's log, and check its sqlalchemy < 2.1",
        )
    else:
        yield ok("schedules", f"runs are scheduled of {names}")
    yield from _workers(server, sorted({one["work_pool_name"] for one in timed if one["work_pool_name"]}))
    late = [run for run in waiting if run["estimated_start_time_delta"] > LATE]
    if late:
        yield warn("late runs", f"{len(late)} wait for a worker or for their turn", "start a worker, or more of them")


def _workers(server: Server, pools: list[str]) -> Iterator[Finding]:
    for pool in pools:
        workers = server.post(f"/work_pools/{pool}/workers/filter", {})
        online = [one["name"] for one in workers if one["status"] == "ONLINE"]
        if online:
            yield ok(f"workers of {pool}", f"{len(online)} online")
        else:
            yield warn(f"workers of {pool}", "none is online", f"prefect worker start --pool {pool}")
