"""Deployments and automations on a real server: made once, changed where something changed, never reset."""

import sys
from pathlib import Path

import httpx
import pytest
from prefect.blocks.notifications import SlackWebhook
from prefect.cli import app
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli import main
from flows.deployments.automations import prefix
from flows.deployments.planning import Dataset
from flows.deployments.registering import deploy
from negset.configuration import load_scheduled
from negset.errors import ConfigError, EnvironmentFault
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

pytestmark = pytest.mark.flow
ROOT = Path(__file__).parents[3]


@pytest.fixture
def deployed(prefect_server, monthly_file, request):
    """Give a function that deploys a dataset of this test's own and says what became of each thing."""
    name = request.node.name.removeprefix("test_")[:40].replace("_", "-").rstrip("-")

    def run(*overrides, path=monthly_file, **options):
        build, schedule = load_scheduled(path, [f"name={name}", *overrides])
        done = deploy(Dataset(build, schedule, TrainConfig(), RoundsConfig(), "negset"), **options)
        short = {one: one.name.removeprefix(prefix(name)).removesuffix(f"/{name}") for one in done}
        return {short[one]: (one.what, *one.fields) for one in done if one.kind != "work pool"}

    run.name = name
    return run


def read(server, path):
    return httpx.get(f"{server}{path}").raise_for_status().json()


def automations(server, name):
    found = httpx.post(f"{server}/automations/filter", json={}).raise_for_status().json()
    return {one["name"].removeprefix(prefix(name)): one for one in found if one["name"].startswith(prefix(name))}


def test_only_what_changed_is_changed(deployed, prefect_server):
    asked = ("schedule.cron=15 3 * * *", "schedule.timeout=12h", "schedule.fresh_within=30h")
    would = deployed(*asked, dry_run=True)
    assert {what for what, *_ in would.values()} == {"created"}
    assert automations(prefect_server, deployed.name) == {}
    assert deployed(*asked) == would
    before = automations(prefect_server, deployed.name)
    there = read(prefect_server, f"/deployments/name/backfill-dataset/{deployed.name}")
    assert set(deployed(*asked).values()) == {("unchanged",)}
    assert automations(prefect_server, deployed.name) == before
    assert read(prefect_server, f"/deployments/name/backfill-dataset/{deployed.name}") == there

    assert deployed("schedule.cron=15 4 * * *", "schedule.timeout=10h", "mine.depth=30") == {
        "backfill-dataset": ("updated", "parameters", "schedules"),
        "build-dataset": ("updated", "parameters"),
        "train-dataset": ("unchanged",),
        "rounds-dataset": ("updated", "parameters"),
        "runs without a heartbeat": ("unchanged",),
        "runs that do not begin": ("unchanged",),
        "failed runs": ("unchanged",),
        "crashed runs start again": ("unchanged",),
        "runs that take too long": ("updated", "description", "trigger"),
        "not up to date": ("removed",),
    }
    # Prefect's own update_automation turns every action without a required field into do-nothing.
    actions = automations(prefect_server, deployed.name)["runs that take too long"]["actions"]
    assert [one["type"] for one in actions] == ["cancel-flow-run"]


def test_what_a_person_switched_off_stays_off(deployed, prefect_server):
    deployed("schedule.cron=15 3 * * *", "schedule.timeout=12h")
    there = read(prefect_server, f"/deployments/name/backfill-dataset/{deployed.name}")
    (times,) = there["schedules"]
    httpx.patch(f"{prefect_server}/deployments/{there['id']}/schedules/{times['id']}", json={"active": False})
    httpx.patch(f"{prefect_server}/deployments/{there['id']}", json={"paused": True})
    slow = automations(prefect_server, deployed.name)["runs that take too long"]
    httpx.patch(f"{prefect_server}/automations/{slow['id']}", json={"enabled": False}).raise_for_status()
    again = deployed("schedule.cron=15 5 * * *", "schedule.timeout=9h")
    assert (again["backfill-dataset"], again["build-dataset"]) == (("updated", "schedules"), ("unchanged",))
    after = read(prefect_server, f"/deployments/name/backfill-dataset/{deployed.name}")
    assert (after["paused"], after["schedules"][0]["active"]) == (True, False)
    assert not automations(prefect_server, deployed.name)["runs that take too long"]["enabled"]

    whole = ("partitions.kind=none", "partitions.start=", "partitions.end=", "partitions.as_of=false")
    lost = deployed("schedule.cron=15 5 * * *", *whole, dry_run=True)
    assert lost["backfill-dataset"] == ("removed",)
    assert lost["build-dataset"] == ("updated", "parameters", "schedules")


def test_the_server_refuses_what_does_not_fit_the_form(deployed, prefect_server):
    with pytest.raises(ConfigError, match="no block of this type and name; create it there first"):
        deployed("schedule.notify=slack-webhook/nobody")
    assert automations(prefect_server, deployed.name) == {}
    block = SlackWebhook(url="https://hooks.example.com/services/x").save("ops")
    deployed("schedule.notify=slack-webhook/ops")
    (told,) = automations(prefect_server, deployed.name)["failed runs"]["actions"]
    assert (told["type"], told["block_document_id"]) == ("send-notification", str(block))
    there = read(prefect_server, f"/deployments/name/build-dataset/{deployed.name}")
    fields = there["parameter_openapi_schema"]["definitions"]["MineConfig"]["properties"]
    assert fields["depth"]["description"].startswith("Ranks kept for each query and miner")
    config = {**there["parameters"]["config"], "mine": {"depth": "many"}}
    refused = httpx.post(
        f"{prefect_server}/deployments/{there['id']}/create_flow_run", json={"parameters": {"config": config}}
    )
    assert refused.status_code == 409
    assert "'many' is not of type 'integer'" in refused.text


def test_prefect_deploy_of_the_yaml_registers_the_same(prefect_server, tmp_path, monkeypatch):
    """What `prefect deploy --all` makes of infra/prefect.yaml is what `negset deploy` would make."""
    httpx.post(f"{prefect_server}/work_pools/", json={"name": "negset", "type": "process"})
    (tmp_path / "prefect.yaml").write_bytes((ROOT / "infra/prefect.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prefect", "--no-prompt", "deploy", "--all"])
    with pytest.raises(SystemExit) as ended:
        app()
    assert not ended.value.code
    build, schedule = load_scheduled(ROOT / "infra/dataset.toml")
    done = deploy(Dataset(build, schedule, TrainConfig(), RoundsConfig(), "negset"), dry_run=True)
    assert {one.name: (one.what, one.fields) for one in done if one.kind == "deployment"} == {
        f"{flow}/news": ("unchanged", ())
        for flow in ("backfill-dataset", "build-dataset", "train-dataset", "rounds-dataset")
    }


def test_the_command_says_what_it_did(prefect_server, monthly_file, capsys):
    command = ["deploy", str(monthly_file), "--set", "name=told", "--set", "schedule.cron=15 3 * * *"]
    assert main([*command, "--interval", "6h"]) == 0
    said = capsys.readouterr().out
    assert "deployment  backfill-dataset/told                                created\n" in said
    assert said.endswith("prefect worker start --pool negset\n")
    there = read(prefect_server, "/deployments/name/backfill-dataset/told")
    assert [one["schedule"]["interval"] for one in there["schedules"]] == [6 * 3600]
    assert main([*command, "--interval", "6h", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("\nnothing changes\n")


def test_without_a_server_nothing_is_started(monthly_file, capsys, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert main(["deploy", str(monthly_file)]) == 2
    assert "no Prefect server is configured: set PREFECT_API_URL" in capsys.readouterr().err
    dataset = Dataset(*load_scheduled(monthly_file), TrainConfig(), RoundsConfig(), "negset")
    nowhere = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: nowhere}), pytest.raises(EnvironmentFault, match=f"answers at {nowhere}"):
        deploy(dataset)
