import math
from dataclasses import replace

import numpy as np
import pytest

from negset.batching.growing import Share, grow
from negset.batching.neighbours import Neighbours, nearest_places, nearest_vectors
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.lots import id_keys
from negset.mining.places import distance_km, unit_vectors


def keys(count):
    return id_keys([f"q{row}" for row in range(count)])


def opened(inputs, *, size=128, epochs=6, seed=1, **options):
    found = find_plan("sample4geo")
    return found.open(inputs, PlanSettings(seed, size, epochs), plan_params(found, options))


@pytest.fixture(scope="module")
def world(topics, plan_inputs):
    """World W7: 64 towns of 32 queries; what is near on the globe is not what is similar."""
    chance = np.random.default_rng(2)
    town = chance.permutation(np.repeat(np.arange(64), 32))
    degrees = np.stack([chance.uniform(-60, 60, 64)[town], chance.uniform(-180, 180, 64)[town]], axis=1)
    degrees += chance.normal(0, 0.05, degrees.shape)
    degrees[:, 1] = (degrees[:, 1] + 180) % 360 - 180
    vectors, topic = topics(64, 32, 0.02)
    inputs = plan_inputs(2048, vectors=lambda: vectors, places=lambda _a, _b: degrees)
    return inputs, town, topic


def test_neighbours_share_batches_near_ones_first_and_similar_ones_later(world, pair_share):
    inputs, town, topic = world
    visit = opened(inputs)
    for epoch in (0, 3):
        visits = visit(epoch)
        assert visits.kind == "geo"
        assert pair_share(visits, town) > 0.124  # at random it is one in 64
        assert pair_share(visits, topic) == pytest.approx(1 / 64, abs=0.004)
    for epoch in (4, 5):
        visits = visit(epoch)
        assert visits.kind == "knn"
        assert pair_share(visits, topic) > 0.124
        assert pair_share(visits, town) == pytest.approx(1 / 64, abs=0.004)


def test_sixteen_batches_each_query_once_the_first_one_too(world):
    """D6: the authors lose the item with the number 0."""
    visits = opened(world[0])(0)
    assert np.bincount(visits.batch_V).tolist() == [128] * 16
    assert sorted(visits.query_V.tolist()) == list(range(2048))


def test_the_first_row_can_be_a_neighbour():
    near = Neighbours(np.array([[1], [0], [0]], dtype=np.int32), np.zeros((3, 1), dtype=np.float32))
    grown = grow(np.array([1, 2, 0]), near, (Share(0, 1, 1),), 3, keys(3))
    assert grown.query_V.tolist() == [1, 0, 2]
    assert grown.seed_V.tolist() == [1, 1, 2]


def test_degrees_are_not_radians():
    """D5: 400 points of the United States; with degrees taken for radians nearly no neighbour is one."""
    chance = np.random.default_rng(0)
    degrees = np.stack([chance.uniform(25, 49, 400), chance.uniform(-124, -67, 400)], axis=1)
    vectors = unit_vectors(degrees)
    left = np.repeat(np.arange(400), 400)
    km = distance_km(vectors[left], vectors[np.tile(np.arange(400), 400)]).reshape(400, 400)
    np.fill_diagonal(km, np.inf)
    true = np.argsort(km, axis=1)[:, :16]

    def overlap(rows):
        return np.mean([len(set(a) & set(b)) / 16 for a, b in zip(rows.tolist(), true.tolist(), strict=True)])

    latitude, longitude = degrees.T  # as radians, which they are not
    a = np.sin((latitude[:, None] - latitude) / 2) ** 2
    b = np.cos(latitude)[:, None] * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    wrong = 2 * np.arcsin(np.sqrt(np.clip(a + b, 0, 1)))
    np.fill_diagonal(wrong, np.inf)
    found = nearest_places(degrees, keys(400), 16)
    assert overlap(found.rows_QK) == 1.0
    assert overlap(np.argsort(wrong, axis=1)[:, :16]) < 0.1
    assert np.allclose(found.distance_QK, np.sort(km, axis=1)[:, :16], rtol=1e-5)


def test_london_and_paris_and_two_points_beside_the_date_line_and_the_pole():
    degrees = np.array([[51.5074, -0.1278], [48.8566, 2.3522], [0.0, 179.9], [0.0, -179.9], [90.0, 0.0], [89.9, 180.0]])
    found = nearest_places(degrees, keys(6), 1)
    assert found.rows_QK[:, 0].tolist() == [1, 0, 3, 2, 5, 4]
    assert found.distance_QK[0, 0] == pytest.approx(343.56, abs=0.01)
    assert found.distance_QK[2, 0] == pytest.approx(22.24, abs=0.01)
    assert found.distance_QK[4, 0] == pytest.approx(11.12, abs=0.01)


def test_a_place_that_many_share_and_one_that_nobody_is_near():
    degrees = np.array([[10.0, 10.0]] * 5 + [[math.nan, math.nan]])
    found = nearest_places(degrees, keys(6), 3)
    for row in range(5):
        assert row not in found.rows_QK[row].tolist()
        assert 5 not in found.rows_QK[row].tolist()
        assert len(set(found.rows_QK[row].tolist())) == 3
    assert found.rows_QK[5].tolist() == [-1, -1, -1]


def test_islands_with_fewer_neighbours_than_asked_for_are_visited(plan_inputs):
    inputs = plan_inputs(10, places=lambda _a, _b: np.stack([np.arange(10.0), np.arange(10.0)], axis=1))
    visits = opened(inputs, size=4, epochs=1)(0)
    assert sorted(visits.query_V.tolist()) == list(range(10))
    assert np.bincount(visits.batch_V).tolist() == [4, 4, 2]


def test_a_batch_has_one_view_of_a_place(plan_inputs):
    """Three queries of each of 8 places: views share their positive."""
    inputs = plan_inputs(
        24,
        positives=[[row // 3] for row in range(24)],
        places=lambda _a, _b: np.stack([np.arange(24) // 3 * 1.0, np.zeros(24)], axis=1),
    )
    for one_view, most in ((True, 1), (False, 3)):
        visits = opened(inputs, size=6, epochs=1, one_view=one_view)(0)
        per_batch = [
            np.bincount(rows // 3).max()
            for rows in np.split(visits.query_V, np.flatnonzero(np.diff(visits.batch_V)) + 1)
        ]
        assert max(per_batch) == most
        assert sorted(visits.query_V.tolist()) == list(range(24))


def test_a_seed_takes_its_nearest_and_some_of_the_others(world):
    visits = opened(world[0])(0)
    first = visits.rank_V[(visits.batch_V == 0) & (visits.group_V == visits.group_V[0])]
    assert first[:33].tolist() == list(range(33))
    assert len(first) == 65
    assert first[33:].min() > 32
    assert first[33:].max() <= 128
    assert first[33:].tolist() != list(range(33, 65))


def test_approximate_neighbours_are_most_of_the_exact_ones(topics, monkeypatch):
    from negset.batching import neighbours

    vectors, _ = topics(40, 50, 0.05)
    exact = nearest_vectors(vectors, keys(2000), 10, 1)
    monkeypatch.setattr(neighbours, "_EXACT", 100)
    monkeypatch.setattr(neighbours, "_PART", 100)
    rough = nearest_vectors(vectors, keys(2000), 10, 1)
    same = [len(set(a) & set(b)) / 10 for a, b in zip(exact.rows_QK.tolist(), rough.rows_QK.tolist(), strict=True)]
    assert np.mean(same) > 0.95
    assert not (rough.rows_QK == np.arange(2000)[:, None]).any()


def test_without_places_the_similar_phase_stands_alone(world, plan_inputs):
    inputs = replace(plan_inputs(2048), vectors=world[0].vectors)
    assert opened(inputs, geo_epochs=0, epochs=1)(0).kind == "knn"
