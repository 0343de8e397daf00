import re

import pytest

from negset.audit.charts import Curve, RatePoint, curve_chart, rate_chart


def places(page, name):
    return [float(found) for found in re.findall(rf'{name}="([-0-9.]+)"', page)]


def test_a_higher_rate_is_drawn_higher_and_a_larger_gap_further_right():
    points = [RatePoint("easy", 0.4, 0.05, 0.02, 0.1, own=True), RatePoint("hard", 0.1, 0.3, 0.2, 0.4, own=False)]
    page = rate_chart(points, "gap", "rate")
    (hard_x, easy_x), (hard_y, easy_y) = places(page, "cx"), places(page, "cy")
    assert hard_x < easy_x
    assert hard_y < easy_y
    assert page.count("point own") == 1
    bars = re.findall(r'y1="([0-9.]+)" y2="([0-9.]+)" class="bar', page)
    for (low, high), middle in zip(bars, (hard_y, easy_y), strict=True):
        assert float(high) < middle < float(low)


def test_one_recipe_alone_and_none_can_be_drawn():
    assert rate_chart([RatePoint("one", 0.0, 0.0, 0.0, 0.1, own=True)], "gap", "rate").count("<circle") == 1
    assert "No recipe" in rate_chart([], "gap", "rate")


def test_names_are_escaped():
    page = rate_chart([RatePoint("<b>x", 0.1, 0.1, 0.0, 0.2, own=False)], "<gap>", "rate")
    assert "<b>" not in page
    assert "&lt;b&gt;x" in page


def test_a_curve_runs_from_the_first_setting_to_the_last():
    page = curve_chart("t", [0.5, 0.9, 1.0], [Curve("kept", "kept", [0.0, 0.5, 1.0])])
    path = re.search(r'd="M([^"]+)"', page).group(1)
    xs, ys = zip(*(map(float, place.split()) for place in path.split(" L")), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert xs[1] - xs[0] == pytest.approx(4 * (xs[2] - xs[1]), rel=0.01)
    assert "too few settings" in curve_chart("t", [0.5], [Curve("kept", "kept", [0.0])])
