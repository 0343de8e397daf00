import re

import numpy as np

from negset.training.reports.charts import POINTS, epoch_chart, group_chart, loss_chart
from negset.training.reports.pair_losses import EpochLosses


def test_many_steps_are_averaged_and_say_so():
    chart = loss_chart(np.tile([0.0, 2.0], 4000), [4000, 4000])
    points = re.search(r' d="M([^"]+)"', chart).group(1).split(" L")
    assert len(points) == POINTS
    assert "Loss over 8,000 steps, each point the mean of 20 steps" in chart
    assert "each point the mean of 1.23 steps" in loss_chart(np.ones(490), [490])
    assert len({point.split()[1] for point in points}) == 1  # each mean is 1: nothing of the noise is left
    assert "averaged" not in loss_chart(np.array([2.0, 1.0]), [2])


def test_a_falling_loss_is_drawn_falling_and_epochs_are_parted():
    chart = loss_chart(np.array([4.0, 3.0, 2.0, 1.0]), [2, 2])
    points = [tuple(map(float, point.split())) for point in re.search(r' d="M([^"]+)"', chart).group(1).split(" L")]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # downwards on a screen
    assert len(re.findall(r'x1="([\d.]+)" x2="\1"', chart)) == 1


def test_nothing_to_draw_is_said():
    assert "Too few steps" in loss_chart(np.array([1.0]), [1])
    assert "kept no losses" in epoch_chart([])
    assert group_chart("none", []) == ""


def test_boxes_of_epochs_stand_where_their_quantiles_are():
    chart = epoch_chart(
        [EpochLosses(0, 9, 2.0, (0.0, 1.0, 2.0, 3.0, 4.0)), EpochLosses(1, 9, 1.0, (0.0, 0.5, 1.0, 1.5, 2.0))]
    )
    heights = [float(value) for value in re.findall(r'<rect [^>]*height="([\d.]+)"', chart)]
    assert heights[0] == 2 * heights[1]
    assert "epoch 2: 9 pairs, mean 1.0000" in chart


def test_a_group_that_fell_is_marked_and_names_are_escaped(change):
    chart = group_chart("title", [change("<b>", 0.5, 0.4), change("up", 0.4, 0.5)])
    assert "<b>" not in chart
    assert "&lt;b&gt;: -0.1000" in chart
    assert chart.index('class="change down"') < chart.index('class="change up"')
