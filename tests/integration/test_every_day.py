"""Every day on a real server: scheduled, backfilled, killed in every part, and everything finishes."""

import json

import pytest

from tests.integration.results import data_digests, published
from tests.integration.prefect_site import wait_for
from tests.integration.processes import kill

pytestmark = [pytest.mark.flow, pytest.mark.integration]

MONTHS = [f"2024-{month:02}" for month in range(1, 13)]


def test_a_schedule_builds_what_is_missing(site, home, deploy, dataset):
    deploy(dataset("daily"), "--interval", "10s")
    runs = wait_for(
        lambda: site.post(
            "/flow_runs/filter",
            {
                "deployments": {"id": {"any_": [site.deployment("backfill-dataset/daily")["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
            },
        ),
        "a scheduled run to be completed",
        90,
    )
    site.patch(f"/deployments/{site.deployment('backfill-dataset/daily')['id']}", {"paused": True})
    assert runs[0]["auto_scheduled"]
    assert list(published(home, "daily")) == MONTHS[:3]
