import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.batching import bisection
from negset.batching.bisection import bisect, halvings, part_sizes
from negset.batching.making import make_plan
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.errors import ConfigError
from negset.lots import id_keys
from negset.tables import read_table


def opened(inputs, *, cluster, doublings="", epochs=1):
    found = find_plan("ngame")
    return found.open(
        inputs, PlanSettings(1, 256, epochs), plan_params(found, {"size": cluster, "doublings": doublings})
    )


def hits(visits, vectors, nearest=8) -> float:
    """Give the share of the true nearest queries that are in the batch."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1)[:, :nearest]
    batch = np.empty(len(vectors), dtype=np.int64)
    batch[visits.query_V] = visits.batch_V
    return float((batch[near] == batch[:, None]).mean())


@pytest.fixture(scope="module")
def world(topics, plan_inputs):
    """World W2: 64 topics of 32 queries, so noisy that clusters of 32 have about three quarters of one topic."""
    vectors, topic = topics(64, 32, 0.12)
    return plan_inputs(2048, vectors=lambda: vectors), vectors, topic


def test_the_nearest_queries_share_a_batch(world):
    inputs, vectors, topic = world
    visits = opened(inputs, cluster=32)(0)
    assert hits(visits, vectors) == pytest.approx(0.723, abs=0.03)
    assert sorted(visits.query_V.tolist()) == list(range(2048))
    assert np.bincount(visits.group_V).tolist() == [32] * 64
    purity = np.mean([np.bincount(topic[visits.query_V[visits.group_V == one]]).max() / 32 for one in range(64)])
    assert purity == pytest.approx(0.76, abs=0.05)


def test_clusters_of_one_are_a_random_order_and_need_no_vectors(world, plan_inputs):
    _, vectors, _ = world
    visits = opened(plan_inputs(2048), cluster=1)(0)
    assert hits(visits, vectors) == pytest.approx(0.125, abs=0.01)
    assert visits.kind == "none"


def test_random_halves_would_not_do(world, monkeypatch):
    """The wrong version that splits without looking at the vectors."""
    inputs, vectors, _ = world
    monkeypatch.setattr(bisection, "_fit", lambda vectors_GMD, _bits: np.zeros_like(vectors_GMD[:, 0]))
    assert hits(opened(inputs, cluster=32)(0), vectors) < 0.2


def test_clusters_double_when_told_and_never_shrink():
    params = plan_params(find_plan("ngame"), {"size": 1, "doublings": "10,20,25,50,75,100,125,150,200"})
    sizes = [params.size_at(epoch) for epoch in range(300)]
    assert sizes == sorted(sizes)
    assert [sizes[epoch] for epoch in (0, 9, 10, 20, 25, 50, 75, 100, 125, 150, 200, 299)] == [
        *(1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512)
    ]
    assert plan_params(find_plan("ngame"), {"doublings": 3}).doublings == "3"
    for wrong in ("0", "3,3", "5,2", "two"):
        with pytest.raises(ConfigError, match="doublings"):
            plan_params(find_plan("ngame"), {"doublings": wrong})


def test_larger_clusters_are_made_of_the_smaller_ones(world):
    inputs, _, _ = world
    visit = opened(inputs, cluster=16, doublings="1", epochs=2)
    small, large = visit(0), visit(1)
    of_small, of_large = np.empty(2048, dtype=np.int64), np.empty(2048, dtype=np.int64)
    of_small[small.query_V], of_large[large.query_V] = small.group_V, large.group_V
    assert len(np.unique(of_small * 10_000 + of_large)) == len(np.unique(of_small)) == 2 * len(np.unique(of_large))


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_differ_by_one_at_most_and_their_number_is_a_power_of_two(points, size):
    depth = halvings(points, size)
    sizes = part_sizes(points, depth)
    assert sizes.sum() == points
    assert len(sizes) == 2**depth
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= size or points <= size or depth == 0


@pytest.mark.parametrize("small", [4, 64, 4096])
@pytest.mark.parametrize("points", [0, 1, 2, 3, 50, 257])
def test_every_point_stands_once_in_the_order(monkeypatch, small, points):
    monkeypatch.setattr(bisection, "_SMALL", small)
    vectors = np.random.default_rng(1).standard_normal((points, 8)).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    keys = id_keys([str(row) for row in range(points)])
    order = bisect(vectors, keys, halvings(points, 2), 1)
    assert sorted(order.tolist()) == list(range(points))


def test_two_opposite_heaps_are_parted():
    vectors = np.repeat(np.array([[1, 0], [0, 1]], dtype=np.float32), 10, axis=0)
    order = bisect(vectors, id_keys([str(row) for row in range(20)]), 1, 1)
    assert {frozenset(half) for half in order.reshape(2, 10).tolist()} == {
        frozenset(range(10)),
        frozenset(range(10, 20)),
    }


def test_queries_that_are_all_the_same_are_parted_by_their_keys():
    vectors = np.tile(np.array([[1, 0]], dtype=np.float32), (64, 1))
    keys = id_keys([str(row) for row in range(64)])
    assert bisect(vectors, keys, 3, 1).tolist() == np.argsort(keys).tolist()


def test_a_document_that_is_known_to_answer_two_queries_of_a_batch_is_masked(plan_inputs, tmp_path):
    """D7: a known positive that is short of true negatives to beat it must not be charged."""
    inputs = plan_inputs(3, known=[[0, 1], [1], [2]], vectors=lambda: np.eye(3, dtype=np.float32))
    found = find_plan("ngame")
    make_plan(inputs, found, plan_params(found, {"size": 3}), PlanSettings(1, 3, 1), tmp_path)
    masks = read_table(tmp_path / "batch_masks" / "epoch-00000.parquet")
    assert masks.select("query_id", "doc_id", "reason").rows() == [("q000000", "d000001", "known_positive")]
