"""What a killed run left Running is ended by the next start of its deployment, and nothing else is."""

from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from flows.left_running import _over, end_below, end_orphans

pytestmark = pytest.mark.flow


@pytest.fixture
def post(prefect_server):
    def send(path, body):
        return httpx.post(f"{prefect_server}{path}", json=body, timeout=60).raise_for_status().json()

    return send


@pytest.fixture
def start(post):
    """Give a function that makes a run in a state, of a deployment or below another run."""
    flow_id = post("/flows/", {"name": f"flow-{uuid4()}"})["id"]

    def make(state, deployment=None, parent=None):
        body = {"flow_id": flow_id, "state": {"type": state}}
        if parent:
            task = {"flow_run_id": parent, "task_key": "sub", "dynamic_key": str(uuid4())}
            body["parent_task_run_id"] = post("/task_runs/", task)["id"]
        if deployment:
            body["deployment_id"] = deployment
        return post("/flow_runs/", body)["id"]

    make.flow_id = flow_id
    return make


def test_sub_flows_of_killed_runs_are_ended_and_those_of_living_ones_are_not(prefect_server, post, start):
    deployment = post("/deployments/", {"name": "d", "flow_id": start.flow_id})["id"]
    killed, living = start("CRASHED", deployment), start("RUNNING", deployment)
    partition = start("RUNNING", parent=killed)
    build, done = start("PENDING", parent=partition), start("COMPLETED", parent=killed)
    other = start("RUNNING", parent=living)
    with get_client(sync_client=True) as client:
        over = _over(client, deployment)
        assert [str(one) for one in over] == [killed]
        assert end_below(client, over) == 2
        assert end_below(client, over) == 0
        states = {one: client.read_flow_run(one).state_name for one in (partition, build, done, other, living)}
    assert states == {partition: "Crashed", build: "Crashed", done: "Completed", other: "Running", living: "Running"}


def test_a_run_by_hand_looks_for_nothing(prefect_server, monkeypatch):
    monkeypatch.setattr("flows.left_running.end_below", None)
    assert flow(end_orphans, name="by-hand")() is None
