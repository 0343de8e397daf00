import re

import numpy as np

from negset.publishing.charts import Counted, Series, bar, counted_histogram, histogram

BASE = 164.0
"""Where the axis lies."""


def heights(drawn):
    """Give the height of every bin of every series, from the outlines."""
    outlines = re.findall(r' d="M8 164([^"]*)V164"', drawn)
    return [[BASE - float(y) for y in re.findall(r"V([\d.]+)H", outline)] for outline in outlines]


def test_bins_are_shares_of_their_own_series():
    """Three of four values in the first bin: as high as the whole of the other series's one bin times 3/4."""
    drawn = histogram(
        "T", [Series("a", "x", np.array([0.0, 0.0, 0.0, 1.0])), Series("b", "y", np.array([1.0]))], bins=2
    )
    assert [[height / 152 for height in one] for one in heights(drawn)] == [[0.75, 0.25], [0.0, 1.0]]
    assert "a · 4" in drawn
    assert "b · 1" in drawn


def test_who_cannot_see_the_chart_hears_counts_and_medians():
    drawn = counted_histogram("T", [Counted("a", "x", np.array([1, 0, 8, 1]))], 0.0, 4.0)
    assert "<desc>a: 10 values, median about 2.50</desc>" in drawn


def test_equal_values_and_no_values_can_be_drawn():
    drawn = histogram("T", [Series("a", "x", np.full(3, 0.5)), Series("b", "y", np.array([]))])
    assert len(heights(drawn)) == 1
    assert "No scores" in histogram("T", [Series("a", "x", np.array([]))])
    assert ">-0.00<" not in histogram("T", [Series("a", "x", np.array([-0.001, 1.0]))])
    assert "no scores" in counted_histogram("T", [Counted("a", "x", np.zeros(4, dtype=np.int64))], 0.0, 1.0)


def test_a_bar_is_as_wide_as_its_share():
    assert '<rect width="12.50%" height="100%" class="bar positive">' in bar(0.125, "positive")
