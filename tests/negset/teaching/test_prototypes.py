import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from negset.lots import id_keys
from negset.teaching.prototypes import fit_prototypes, means, nearest


def planted(clusters=10, each=100, wide=64, noise=0.15, seed=3):
    draw = np.random.default_rng(seed)
    centre_CD = draw.standard_normal((clusters, wide))
    centre_CD /= np.linalg.norm(centre_CD, axis=1, keepdims=True)
    truth = np.repeat(np.arange(clusters), each)
    vectors = centre_CD[truth] + noise * draw.standard_normal((len(truth), wide))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def keys(count):
    return id_keys([f"d{n:05}" for n in range(count)])


@pytest.mark.parametrize("seed", [6, 7])
def test_five_attempts_find_planted_clusters_exactly_where_one_leaves_two_under_one_centroid(seed):
    vectors, truth = planted()

    def agreement(attempts):
        centroids = fit_prototypes(vectors, keys(len(vectors)), 10, seed, attempts, rounds=20)
        assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-6)
        return adjusted_rand_score(truth, nearest(vectors, centroids)[0])

    assert agreement(5) == 1.0
    assert agreement(1) < 0.9


def test_the_order_of_work_and_the_backend_do_not_matter(monkeypatch):
    vectors, _ = planted(each=30)
    one = fit_prototypes(vectors, keys(len(vectors)), 10, 1, 2, 5, "cpu")
    monkeypatch.setattr("negset.search._CLASS", 1)
    other = fit_prototypes(vectors, keys(len(vectors)), 10, 1, 2, 5, "faiss")
    assert one.tobytes() == other.tobytes()


def test_a_document_draws_by_its_id_and_the_seed_decides():
    vectors, _ = planted(each=30)
    fits = [fit_prototypes(vectors, keys(len(vectors)), 40, seed, 1, 1).tobytes() for seed in (1, 1, 2)]
    assert fits[0] == fits[1] != fits[2]


def test_what_is_left_empty_is_no_centroid():
    """Five distinct vectors cannot fill twelve clusters; a zero centroid would win from those with negative cosine."""
    distinct = np.eye(5, dtype=np.float32)
    vectors = np.repeat(distinct, 8, axis=0)
    centroids = fit_prototypes(vectors, keys(40), 12, 1, 2, 10)
    assert sorted(centroids.argmax(axis=1).tolist()) == [0, 1, 2, 3, 4]
    opposite = np.array([[1, 0], [-1, 0], [0, 1]], dtype=np.float32)
    found, there = means(opposite, np.array([0, 0, 2]))
    assert found.tolist() == [[0, 1]]
    assert there.tolist() == [2]


def test_nothing_and_a_single_document():
    none = np.empty((0, 3), np.float32)
    assert fit_prototypes(none, keys(0), 3, 1, 2, 2).shape == (0, 3)
    one = np.array([[0, 1, 0]], dtype=np.float32)
    assert fit_prototypes(one, keys(1), 3, 1, 2, 2).tolist() == one.tolist()
