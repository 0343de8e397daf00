"""What people see of it: the server's pages in a real browser, and pictures of them in the folder NEGSET_ARTIFACTS."""

import base64
import os
from pathlib import Path

import pytest

from benchmarks.browser import chromium, find_chromium
from tests.integration.browser import click, picture, wait_for_words
from tests.integration.prefect_site import wait_for
from tests.integration.results import published

pytestmark = pytest.mark.flow


@pytest.fixture
def pictures() -> Path:
    """Give the folder for pictures, or skip."""
    if "NEGSET_ARTIFACTS" not in os.environ:
        pytest.skip("pictures of the server's pages are wanted where NEGSET_ARTIFACTS names a folder")
    if find_chromium() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    folder = Path(os.environ["NEGSET_ARTIFACTS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_deployments_form_a_running_backfill_and_its_artifacts(pictures, site, home, deploy, dataset):
    deploy(dataset("shown"), "--cron", "15 3 * * *")
    deployment = site.deployment("backfill-dataset/shown")["id"]
    run = site.trigger("backfill-dataset/shown")
    with chromium(width=1440, height=1100) as page:
        page.open(site.pages)
        wait_for_words(page, "Login")
        picture(page, pictures / "1-login.png")
        known = base64.b64encode(site.auth.encode()).decode()
        page.run(f"localStorage.setItem('prefect-password', '{known}')")

        page.open(f"{site.pages}/deployments/deployment/{deployment}")
        wait_for_words(page, "shown", "negset:shown", "03:15")
        picture(page, pictures / "2-deployment.png")
        page.open(f"{site.pages}/deployments/deployment/{deployment}/run")
        wait_for_words(page, "One negative set.", "Which miners propose candidates", "max_parallel")
        picture(page, pictures / "3-form.png")

        wait_for(lambda: published(home, "shown"), "the first partition", 180)
        (within,) = [one for one in site.named("backfill shown") if one["id"] != run]
        page.open(f"{site.pages}/runs/flow-run/{within['id']}")
        wait_for_words(page, "Running", "Subflow Runs")
        click(page, "Subflow Runs")
        wait_for_words(page, "shown/2024-01")
        picture(page, pictures / "4-running-backfill.png")

        assert site.finished(run)["state_name"] == "Completed"
        page.open(f"{site.pages}/artifacts")
        wait_for_words(page, "negset-partitions-shown", "3 published")
        picture(page, pictures / "5-artifacts.png")
        page.open(f"{site.pages}/artifacts/artifact/{site.artifact('negset-partitions-shown')['id']}")
        wait_for_words(page, "2024-01", "2024-02", "2024-03", "published")
        picture(page, pictures / "6-partitions.png")
        page.open(f"{site.pages}/automations")
        wait_for_words(page, "negset shown: runs without a heartbeat")
        picture(page, pictures / "7-automations.png")
    assert len(list(pictures.glob("?-*.png"))) == 7
