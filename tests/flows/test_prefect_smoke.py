"""The pins hold: on a real server a flow runs, and a cron deployment gets its scheduled runs."""

import os
import subprocess
import sys
import time

import httpx
import pytest

from flows.local_server import local_server

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def api_url(tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    with local_server({**os.environ, "PREFECT_HOME": str(home)}) as url:
        yield url


def _post(url, path, body):
    """Post as Prefect's client does: a busy SQLite answers 503 for a moment, a broken scheduler for ever."""
    until = time.monotonic() + 60
    while (response := httpx.post(f"{url}{path}", json=body, timeout=120)).status_code == 503:
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    assert response.is_success, response.text
    return response.json()


def test_a_flow_runs_on_a_real_server(api_url):
    from prefect import flow, task
    from prefect.settings import PREFECT_API_URL, temporary_settings

    @task
    def double(number: int) -> int:
        return 2 * number

    @flow(name="smoke")
    def smoke() -> int:
        return double(21)

    with temporary_settings({PREFECT_API_URL: api_url}):
        assert smoke() == 42
    runs = _post(api_url, "/flow_runs/filter", {"flows": {"name": {"any_": ["smoke"]}}})
    assert [run["state_type"] for run in runs] == ["COMPLETED"]


def test_a_cron_deployment_gets_scheduled_runs(api_url):
    """With SQLAlchemy 2.1 flows still run by hand, and the scheduler makes no run at all."""
    flow_id = _post(api_url, "/flows/", {"name": "nightly"})["id"]
    deployment = _post(
        api_url,
        "/deployments/",
        {
            "name": "nightly",
            "flow_id": flow_id,
            "schedules": [{"schedule": {"cron": "0 3 * * *"}, "active": True}],
        },
    )
    _post(api_url, f"/deployments/{deployment['id']}/schedule", {"min_runs": 3})
    chosen = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    until = time.monotonic() + 60
    runs = []
    while not runs and time.monotonic() < until:
        runs = _post(api_url, "/flow_runs/filter", chosen)
    assert len(runs) >= 3
    assert {run["expected_start_time"][11:16] for run in runs} == {"03:00"}


_PARENT = """
import os
from flows.local_server import local_server
with local_server(os.environ) as url:
    print(url, flush=True)
    input()
"""


def test_the_server_leaves_with_its_parent():
    """A parent that is killed leaves no server behind: the pipe closes, the server goes."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().strip()
        assert _answers(url)
        parent.kill()
        parent.wait()
        until = time.monotonic() + 10
        while _answers(url) and time.monotonic() < until:
            time.sleep(0.1)
        assert not _answers(url)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=120).is_success
    except httpx.TransportError:
        return False
