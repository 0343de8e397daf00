"""How vectors look without a label: each part by hand, and on worlds that differ in that part alone."""

import numpy as np
import pytest

from negset.training.reports.label_free import (
    angle_deviation,
    hopkins_statistic,
    mutual_information,
    score_vectors,
)


def test_hopkins_tells_clusters_from_points_without_structure():
    chance = np.random.default_rng(1)
    uniform = chance.uniform(size=(2000, 2))
    assert hopkins_statistic(uniform, 1) == pytest.approx(0.5, abs=0.06)
    clustered = chance.integers(0, 2, size=(2000, 2)) + 0.001 * chance.normal(size=(2000, 2))
    assert hopkins_statistic(clustered, 1) > 0.95


def test_hopkins_does_not_take_a_point_for_its_own_neighbour():
    """Then all inner distances would be 0, and everything a cluster."""
    assert hopkins_statistic(np.random.default_rng(2).uniform(size=(200, 3)), 1) < 0.7
    assert hopkins_statistic(np.ones((10, 2)), 1) == 1.0
    with pytest.raises(ValueError, match="1 points have no neighbours"):
        hopkins_statistic(np.ones((1, 2)), 1)


def test_information_by_hand():
    sure = np.array([[50.0, 0, 0], [0, 50.0, 0], [0, 0, 50.0]])
    assert mutual_information(sure) == pytest.approx(1.0)
    # Sure, but always of the same class: entropy alone would call that good.
    assert mutual_information(sure[[0, 0, 0]]) == pytest.approx(0.0, abs=1e-9)
    # Varied over the inputs on the mean, but never sure: the entropy of the mean alone would call that good.
    assert mutual_information(np.zeros((3, 3))) == pytest.approx(0.0, abs=1e-9)
    half = np.log(np.array([[0.75, 0.25], [0.25, 0.75]]))
    expected = (np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert mutual_information(half) == pytest.approx(expected)


def test_angles_are_those_of_a_simplex():
    """Three directions of the plane 120 degrees apart; at right angles the deviation is 30 degrees each."""
    turned = np.deg2rad([0, 120, 240])
    simplex = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    assert angle_deviation(simplex) == pytest.approx(0.0, abs=1e-12)
    assert angle_deviation(7 * simplex) == pytest.approx(0.0, abs=1e-12)
    assert angle_deviation(np.eye(3)) == pytest.approx(np.deg2rad(30) ** 2)
    assert angle_deviation(np.ones((3, 2))) == pytest.approx(np.arccos(-0.5) ** 2)


def test_the_score_adds_what_is_good_and_takes_off_what_is_bad():
    chance = np.random.default_rng(3)

    def unit(rows):
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    documents = unit(chance.normal(size=(20, 16)))
    good = score_vectors(unit(documents[np.arange(100) % 20] + 0.02 * chance.normal(size=(100, 16))), documents, 1)
    bad = score_vectors(unit(chance.normal(size=(100, 16))), documents, 1)
    collapsed = score_vectors(
        unit(1 + 0.01 * chance.normal(size=(100, 16))), unit(1 + 0.01 * chance.normal(size=(20, 16))), 1
    )
    assert good.score > bad.score > collapsed.score
    assert good.score == good.hopkins + good.information - good.angles
    assert good.numbers()["score"] == good.score
