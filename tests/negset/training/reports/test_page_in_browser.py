"""The charts and tables of a run's page, in a real browser."""

import numpy as np
import pytest

from benchmarks.browser import chromium, find_chromium
from negset.publishing.html import document, joined, tag
from negset.publishing.tables import table
from negset.training.reports.charts import epoch_chart, group_chart, loss_chart
from negset.training.reports.page import GROUP_HEAD, group_row, run_styles
from negset.training.reports.pair_losses import EpochLosses

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine (name one in CHROMIUM)")

CUT = """[...document.querySelectorAll("svg text")].filter((one) => {
  const words = one.getBoundingClientRect(), room = one.ownerSVGElement.getBoundingClientRect();
  return words.left < room.left - 1 || words.right > room.right + 1 || words.bottom > room.bottom + 1;
}).map((one) => one.textContent)"""
"""Words of charts that reach out of their picture, which cuts them off."""


@pytest.fixture(scope="module")
def tab():
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(change, tmp_path):
    """Give a page of charts with the longest words that they may hold, and a table."""
    groups = [change("a domain whose name has no end", 0.1, 0.4), change("Questions of programmers (EN)", 0.4, 0.1)]
    epochs = [EpochLosses(place, 9, 2.0, (0.00163, 1.0, 2.0, 3.0, 7.18)) for place in range(5)]
    losses = np.linspace(-0.000123, 3.48, 490)
    charts = [loss_chart(losses, [98] * 5), epoch_chart(epochs)]
    charts += [group_chart("both ways", groups), group_chart("up alone", groups[:1])]
    numbers = table("Groups", GROUP_HEAD, [group_row(one) for one in groups])
    path = tmp_path / "run.html"
    path.write_text(document("run", run_styles(), tag("main", tag("div", joined(*charts), class_="charts"), numbers)))
    return path


@pytest.mark.parametrize("width", [375, 800, 1400])
def test_no_word_is_cut_and_the_page_is_as_wide_as_its_window(tab, page, width):
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    tab.open(page.as_uri())
    assert tab.run("document.querySelectorAll('svg text').length") == 18
    assert tab.run(CUT) == []
    assert tab.run("document.documentElement.scrollWidth") == width
    assert tab.said == []


def test_what_a_phone_must_scroll_can_be_reached_by_keyboard_and_has_a_name(tab, page):
    tab.call("Emulation.setDeviceMetricsOverride", width=375, height=900, deviceScaleFactor=1, mobile=True)
    tab.open(page.as_uri())
    wide = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)"
    found = tab.run(f"{wide}.map((one) => [one.tabIndex, one.ariaLabel])")
    assert found == [[0, "Groups"]]
