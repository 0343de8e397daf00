"""Every command of docs/operations.md, in its order, as one session with a server."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prefect.cli import app

from flows.cli import main
from schemas.schedule import ScheduleConfig

pytestmark = pytest.mark.flow
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
NOT_HERE = {"prefect server start --background": "the session has a server; tests/integration starts one"}


@pytest.fixture
def news(home, monthly_file, monkeypatch):
    """Give a folder with the page's own build file, for two months."""
    (schedule,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    text = monthly_file.read_text().replace('name = "log"', 'name = "news"').replace("2024-03", "2024-02")
    (monthly_file.parent / "build.toml").write_text(f"{text}{schedule}")
    monkeypatch.chdir(monthly_file.parent)
    monkeypatch.setenv("PWD", str(monthly_file.parent))
    return monthly_file.parent


def run(words, monkeypatch):
    """Run a command line in this process; give its exit code."""
    if words[0] == "negset":
        return main(words[1:])
    monkeypatch.setattr(sys, "argv", words)
    try:
        app()
    except SystemExit as ended:
        return ended.code or 0
    return 0


def work_once(server):
    """Run what is scheduled by now, as a worker in a process of its own does."""
    environment = {**os.environ, "PREFECT_API_URL": server, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "negset", "--run-once"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def schedule_runs(server):
    """Do what the scheduler does, which the session's server is without; other tests' deployments have none yet."""
    for one in httpx.post(f"{server}/deployments/filter", json={}).raise_for_status().json():
        httpx.post(f"{server}/deployments/{one['id']}/schedule", json={"min_runs": 1}, timeout=60).raise_for_status()


def newest(server, *states):
    """Give the id of the newest run of a deployment in one of `states`."""
    wanted = {"state": {"type": {"any_": list(states)}}, "deployment_id": {"is_null_": False}}
    asked = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_DESC", "limit": 1}
    (found,) = httpx.post(f"{server}/flow_runs/filter", json=asked).json()
    return found["id"]


@pytest.mark.timeout(280)
def test_every_command_does_what_the_page_says(prefect_server, news, monkeypatch, capfd):
    said = {}
    for line in COMMANDS:
        words = shlex.split(os.path.expandvars(line))
        if line in NOT_HERE:
            continue
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, prefect_server if name == "PREFECT_API_URL" else value)
            continue
        if '"$RUN"' in line:
            states = ("SCHEDULED",) if "cancel" in line else ("COMPLETED",)
            words = [newest(prefect_server, *states) if word in ("$RUN", "") else word for word in words]
        if words[0] in ("echo", "rm"):
            subprocess.run(line, shell=True, check=True)
            continue
        if line.startswith("negset doctor"):
            schedule_runs(prefect_server)
        capfd.readouterr()
        if line.startswith("prefect worker start"):
            assert run(shlex.split("prefect deployment run backfill-dataset/news"), monkeypatch) == 0
            work_once(prefect_server)
            continue
        code = run(words, monkeypatch)
        printed = capfd.readouterr()
        assert code == 0, f"{line}: {printed.out}{printed.err}"
        said.setdefault(line, []).append(printed.out)

    (doctor, _) = said["negset doctor build.toml"]
    assert "build file" in doctor
    assert "backfill-dataset/news" in said["negset deploy build.toml --dry-run"][0]
    assert "created" in said["negset deploy build.toml"][0]
    # The worker built both months: the run by hand found nothing to do, and there was nothing failed.
    first, daily, revoked = said["negset status build.toml"]
    assert "2 partitions: 2 published" in first
    assert first == daily
    assert "1 revoked, 1 published" in revoked
    assert "the source of that day was wrong" in revoked
    assert "2 partitions: 2 published" in said["negset backfill build.toml --only failed"][0]
    assert "updated: schedules" in said['negset deploy build.toml --cron "45 3 * * *"'][0]


def test_the_page_knows_every_key_of_a_schedule():
    table = PAGE[PAGE.index("| key | default |") : PAGE.index("Then register it")]
    rows = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(ScheduleConfig.model_fields)
