import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from negset.batching.centroids import cluster_vectors
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.plans.protoclip import ProtoClipParams, draw_episodes
from negset.lots import id_keys


def opened(inputs, *, size=64, **options):
    found = find_plan("protoclip")
    return found.open(inputs, PlanSettings(1, size, 2), plan_params(found, options))


def test_ten_planted_clusters_are_found(topics):
    vectors, topic = topics(10, 100, 0.15, dimensions=64)
    found = cluster_vectors(vectors, id_keys([str(row) for row in range(1000)]), 10, 1)
    assert adjusted_rand_score(topic, found) > 0.99


def test_a_start_from_rows_drawn_evenly_finds_fewer(topics):
    import faiss

    found = []
    for seed in range(8):
        vectors, topic = topics(10, 100, 0.15, seed=seed)
        fit = faiss.Kmeans(64, 10, niter=20, nredo=1, spherical=True, seed=seed)
        fit.train(vectors)
        found.append(adjusted_rand_score(topic, fit.index.search(vectors, 1)[1][:, 0]))
    assert np.mean(found) < 0.97


def test_an_epoch_is_cut_into_episodes_and_no_batch_has_two(topics, plan_inputs):
    vectors, _ = topics(20, 50, 0.05)
    inputs = plan_inputs(1000, vectors=lambda: vectors)
    visits = opened(inputs, episode=300, prototypes=10)(0)
    assert visits.notes == {"episodes": 4}
    assert sorted(visits.query_V.tolist()) == list(range(1000))
    assert np.bincount(visits.batch_V).tolist() == [*[64] * 4, 44, *[64] * 4, 44, *[64] * 4, 44, 64, 36]
    assert not set(visits.group_V[:300].tolist()) & set(visits.group_V[300:600].tolist())


def test_paraphrases_of_a_batch_are_masked(topics, plan_inputs):
    """500 queries and a paraphrase of each; what is found of pairs that share a batch."""
    vectors, _ = topics(500, 2, 0.01)
    order = np.argsort(topics(500, 2, 0.01)[1], kind="stable")
    vectors = vectors[order]  # 2 i and 2 i + 1 belong together
    inputs = plan_inputs(1000, vectors=lambda: vectors)
    visits = opened(inputs, size=200)(0)
    masked = {
        (int(visits.query_V[visit]), document)
        for visit, document in zip(visits.suspects.visit_M.tolist(), visits.suspects.document_M.tolist(), strict=True)
    }
    batch = dict(zip(visits.query_V.tolist(), visits.batch_V.tolist(), strict=True))
    together = [(row, row ^ 1) for row in range(1000) if batch[row] == batch[row ^ 1]]
    assert len(together) > 100
    assert np.mean([pair in masked for pair in together]) >= 0.9
    assert all(batch[query] == batch[document] for query, document in masked)
    assert opened(inputs, size=200, mask=False)(0).suspects is None


def test_draws_with_replacement_leave_some_out(plan_inputs):
    """200,000 draws of 2.5 million have 192,209 distinct ones; here 2,000 of 25,000."""
    inputs = plan_inputs(25_000)
    expected = 25_000 * (1 - (1 - 1 / 25_000) ** 2_000)
    episodes = draw_episodes(inputs, PlanSettings(1, 64, 1), ProtoClipParams(episode=2_000, replace=True), 0)
    assert np.mean([len(rows) for rows in episodes[:12]]) == pytest.approx(expected, abs=12)
    assert all(len(set(rows.tolist())) == len(rows) for rows in episodes)
    assert len(set(np.concatenate(episodes).tolist())) < 17_000
    whole = draw_episodes(inputs, PlanSettings(1, 64, 1), ProtoClipParams(episode=2_000), 0)
    assert sorted(np.concatenate(whole).tolist()) == list(range(25_000))


def test_positives_can_be_clustered_in_place_of_queries(plan_inputs):
    queries, documents = np.eye(4, dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    inputs = plan_inputs(4, vectors=lambda: queries, document_vectors=lambda rows: documents[rows])
    visits = opened(inputs, side="positive", prototypes=2)(0)
    groups = dict(zip(visits.query_V.tolist(), visits.group_V.tolist(), strict=True))
    assert groups[0] == groups[1] != groups[2] == groups[3]
