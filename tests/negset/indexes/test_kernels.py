import faiss
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from negset.indexes.kernels import (
    edge_scores,
    keep_best,
    one_thread,
    rounding_margin,
    score_rows,
    training_rows,
)
from negset.search import pair_scores


def test_single_pairs_are_scored_and_a_missing_one_is_last(vectors):
    queries, documents = vectors(3, seed=1), vectors(50, seed=2)
    scores = score_rows(queries, documents, np.array([[0, 49], [7, -1], [3, 3]]))
    np.testing.assert_allclose(scores[0], documents[[0, 49]] @ queries[0], atol=1e-6)
    assert scores[1, 1] == -np.inf
    assert scores[2, 0] == scores[2, 1]


def test_a_score_does_not_depend_on_its_neighbours(vectors):
    queries, documents = vectors(40, 37, seed=1), vectors(50, 37, seed=2)
    rows = np.broadcast_to(np.arange(50), (40, 50))
    together = score_rows(queries, documents, rows)
    apart = np.concatenate([score_rows(queries[n : n + 1], documents, rows[:1]) for n in range(40)])
    assert together.tobytes() == apart.tobytes()


@given(
    seed=st.integers(0, 10_000),
    documents=st.integers(1, 80),
    count=st.integers(1, 30),
    noise=st.sampled_from([0.0, 1e-7, 3e-7]),
)
def test_the_best_pairs_are_those_of_the_canonical_order(seed, documents, count, noise):
    chance = np.random.default_rng(seed)
    queries = chance.standard_normal((3, 5)).astype(np.float32)
    kept = chance.standard_normal((max(documents // 4, 1), 5)).astype(np.float32)  # many ties, and nearly ties
    among = kept[chance.integers(0, len(kept), documents)] * (1 + noise * chance.standard_normal((documents, 1)))
    among = among.astype(np.float32)
    query, doc = np.divmod(chance.permutation(3 * documents), documents)
    rough = (queries @ among.T)[query, doc]
    margin = rounding_margin(queries, float(np.linalg.norm(among, axis=1).max()))
    canonical = pair_scores(queries, among, query, doc)
    places = keep_best(query, doc, rough, count, margin, lambda some: canonical[some])
    found = sorted(zip(query[places].tolist(), doc[places].tolist(), strict=True))
    expected = []
    for one in range(3):
        mine = sorted(np.flatnonzero(query == one), key=lambda place: (-canonical[place], doc[place]))
        expected += [(one, int(doc[place])) for place in mine[:count]]
    assert found == sorted(expected)


def test_the_edge_is_the_score_at_a_place():
    scores = np.array([0.1, 0.9, 0.5, 0.3], dtype=np.float32)
    edges = edge_scores(np.array([0, 0, 0, 2]), scores, 2, 3)
    assert edges.tolist() == [np.float32(0.5), -np.inf, -np.inf]


def test_training_rows_are_drawn_by_seed_and_ascend():
    rows = training_rows(1000, 100, 13)
    assert (len(rows), len(np.unique(rows))) == (100, 100)
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == training_rows(1000, 100, 13).tolist()
    assert rows.tolist() != training_rows(1000, 100, 14).tolist()
    assert training_rows(5, 100, 13).tolist() == [0, 1, 2, 3, 4]


def test_one_thread_gives_back_what_it_took():
    before = faiss.omp_get_max_threads()
    with one_thread():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before
