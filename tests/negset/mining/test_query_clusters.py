import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from negset.errors import ConfigError
from negset.lots import id_keys
from negset.mining import query_clusters
from negset.mining.query_clusters import cluster_rows, spectral_coordinates

RING_Q = np.arange(300) % 2


def keys(count):
    return id_keys([f"q{at}" for at in range(count)])


def rings(seed=0):
    """Two rings of radius 1 and 4."""
    chance = np.random.default_rng(seed)
    angle_Q = 2 * np.pi * chance.random(len(RING_Q))
    radius_Q = np.where(RING_Q, 4.0, 1.0) + 0.08 * chance.standard_normal(len(RING_Q))
    return np.stack([radius_Q * np.cos(angle_Q), radius_Q * np.sin(angle_Q)], axis=1)


def test_local_widths_tell_rings_apart_where_k_means_does_not():
    points_QD = rings()
    assert adjusted_rand_score(RING_Q, cluster_rows(points_QD, keys(300), 2, "spectral")) == 1.0
    assert adjusted_rand_score(RING_Q, cluster_rows(points_QD, keys(300), 2, "kmeans")) < 0.1


@pytest.mark.parametrize(("scale", "right"), [(0.5, True), ("median", False)])
def test_one_width_for_all_must_be_small(scale, right):
    points_QD = rings()
    if scale == "median":
        gaps_QQ = np.linalg.norm(points_QD[:, None] - points_QD[None], axis=2)
        scale = float(np.median(gaps_QQ[np.triu_indices(300, 1)]))
    found = cluster_rows(spectral_coordinates(points_QD, 2, scale), keys(300), 2)
    assert (adjusted_rand_score(RING_Q, found) > 0.99) == right


def test_points_beyond_the_landmarks_follow_their_nearest(monkeypatch):
    monkeypatch.setattr(query_clusters, "LANDMARKS", 200)
    assert adjusted_rand_score(RING_Q, cluster_rows(rings(), keys(300), 2, "spectral")) > 0.95


@pytest.mark.parametrize("method", ["kmeans", "spectral"])
def test_the_order_of_rows_does_not_matter(method):
    points_QD, order = rings(1), np.random.default_rng(5).permutation(300)
    found = cluster_rows(points_QD, keys(300), 3, method)
    assert cluster_rows(points_QD[order], keys(300)[order], 3, method).tolist() == found[order].tolist()
    assert found[np.argsort(keys(300))[0]] == 0


@pytest.mark.parametrize("method", ["kmeans", "spectral"])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_fewer_rows_than_clusters(method, rows):
    found = cluster_rows(np.eye(3)[:rows], keys(rows), 5, method)
    assert sorted(found.tolist()) == list(range(rows))


def test_points_that_coincide_have_a_cluster_all_the_same():
    points_QD = np.repeat([[0.0, 0.0], [5.0, 5.0]], 10, axis=0)
    found = cluster_rows(points_QD, keys(20), 2, "spectral")
    assert len(set(found[:10].tolist())) == len(set(found[10:].tolist())) == 1
    assert found[0] != found[-1]


def test_no_cluster_is_refused():
    with pytest.raises(ConfigError, match="0 clusters"):
        cluster_rows(np.eye(2), keys(2), 0)
