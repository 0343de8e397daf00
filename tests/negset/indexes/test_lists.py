import faiss
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from negset.indexes import ivf_flat, lists
from negset.indexes.kind import Setting
from negset.search import pair_scores, search_exact

DOCUMENTS = 2500


@pytest.fixture(scope="module")
def opened(vectors):
    """Give lists of documents of which every tenth is there twenty times."""
    documents = np.repeat(vectors(DOCUMENTS, seed=3), np.where(np.arange(DOCUMENTS) % 10, 1, 20), axis=0)
    index = ivf_flat.build_index(documents, 13)
    return documents, lists.open_lists(index, ivf_flat._decode, lists.longest(documents))


def canonical_best(documents, rows, query, count):
    scores = pair_scores(query[None], documents, np.zeros(len(rows), dtype=np.int64), rows)
    return sorted(sorted(range(len(rows)), key=lambda n: (-scores[n], rows[n]))[:count], key=lambda n: rows[n])


def test_every_document_stands_in_one_list(opened):
    documents, known = opened
    assert np.sort(known.row_N).tolist() == list(range(len(documents)))
    for number in (0, 5, len(known.centroids_LD) - 1):
        rows = known.row_N[known.starts[number] : known.starts[number + 1]]
        assert known.read(number).tolist() == documents[rows].tolist()


def test_the_nearest_lists_are_those_of_the_canonical_order(opened, vectors):
    _, known = opened
    queries = vectors(40, seed=4)
    found, scores = lists.nearest_lists(queries, known.centroids_LD, 9)
    exact = search_exact(queries, known.centroids_LD, np.full(40, 9)).doc.reshape(40, 9)
    assert found.tolist() == np.sort(exact, axis=1).tolist()
    np.testing.assert_allclose(scores[0], known.centroids_LD[found[0]] @ queries[0], atol=1e-6)
    everything, _ = lists.nearest_lists(queries, known.centroids_LD, 10_000)
    assert everything.shape == (40, len(known.centroids_LD))


@pytest.mark.parametrize(("count", "nprobe"), [(7, 3), (50, 6), (400, 2)])
def test_what_is_found_is_exact_within_the_probed_lists(opened, vectors, count, nprobe):
    documents, known = opened
    queries = vectors(30, seed=5)
    found = lists.search_lists(known, queries, count, nprobe)
    probes, _ = lists.nearest_lists(queries, known.centroids_LD, nprobe)
    for query in range(30):
        inside = np.concatenate([known.row_N[known.starts[one] : known.starts[one + 1]] for one in probes[query]])
        best = inside[canonical_best(documents, inside, queries[query], count)]
        assert found[query][found[query] >= 0].tolist() == best.tolist()


def test_blocks_and_threads_change_nothing(opened, vectors, monkeypatch):
    _, known = opened
    queries = vectors(200, seed=6)
    together = lists.search_lists(known, queries, 30, 8)
    monkeypatch.setattr(lists, "_BLOCK", 7)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    with threadpool_limits(1, "blas"):
        assert lists.search_lists(known, queries, 30, 8).tolist() == together.tolist()
    faiss.omp_set_num_threads(before)


def test_settings_end_with_all_lists_and_a_fixed_one_is_the_only_one():
    assert lists.list_count(200_000) == 1024
    numbers = [one.nprobe for one in lists.probe_settings(200_000, Setting())]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (4, 1024)
    assert lists.probe_settings(200_000, Setting(nprobe=5000)) == [Setting(nprobe=1024)]
