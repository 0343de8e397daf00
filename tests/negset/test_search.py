import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from negset import search, sieve, sieve_torch
from negset.errors import ContractError
from negset.products import find_product
from negset.search import Hits, join_hits, pair_scores, search_exact, top_hits


def unit(rows, dimensions, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_force(queries, documents, k):
    """Score all pairs in float64, round, sort by (score descending, row)."""
    found = []
    for query, vector in enumerate(queries.astype(np.float64)):
        scores = [round(float(sum(vector * document)), 6) for document in documents.astype(np.float64)]
        order = sorted(range(len(scores)), key=lambda doc: (-scores[doc], doc))
        found += [(query, doc, scores[doc]) for doc in order[: k[query]]]
    return found


def rows_of(hits):
    return list(zip(hits.query.tolist(), hits.doc.tolist(), hits.score.tolist(), strict=True))


def without_score(rows):
    return [(query, doc) for query, doc, _ in rows]


WAYS = {
    "float32": {"backend": "cpu", "precision": "float32"},
    "bfloat16": {"backend": "cpu", "precision": "bfloat16"},
    "faiss": {"backend": "faiss"},
    "torch": {"backend": "torch"},
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Search in each way: by faiss also where it would leave few queries to the processor's own."""
    monkeypatch.setattr(search, "_FAISS_QUERIES", 0)
    return WAYS[request.param]


def test_finds_what_brute_force_finds(way):
    queries, documents, k = unit(7, 24, seed=1), unit(300, 24, seed=2), [5, 1, 40, 5, 5, 300, 12]
    hits = search_exact(queries, documents, np.array(k), **way)
    expected = brute_force(queries, documents, k)
    assert without_score(rows_of(hits)) == without_score(expected)
    np.testing.assert_allclose(hits.score, [score for _, _, score in expected], atol=1.1e-6)


def test_a_thousand_identical_documents_come_in_the_order_of_their_rows(way):
    documents = np.concatenate([unit(500, 16, seed=3), np.repeat(unit(1, 16, seed=4), 1000, axis=0)])
    queries = np.repeat(unit(1, 16, seed=4), 3, axis=0)
    hits = search_exact(queries, documents, np.array([10, 130, 999]), **way)
    assert hits.doc[hits.query == 0].tolist() == list(range(500, 510))
    assert hits.doc[hits.query == 1].tolist() == list(range(500, 630))
    assert hits.doc[hits.query == 2].tolist() == list(range(500, 1499))
    assert set(hits.score.tolist()) == {1.0}


def test_documents_that_share_nothing_tie_at_zero(way):
    documents = np.zeros((6000, 8), dtype=np.float32)
    documents[np.arange(6000), np.arange(6000) % 7] = 1
    queries = np.eye(8, dtype=np.float32)[[7, 0]]
    hits = search_exact(queries, documents, np.array([4, 860]), **way)
    assert rows_of(hits)[:4] == [(0, 0, 0.0), (0, 1, 0.0), (0, 2, 0.0), (0, 3, 0.0)]
    ones = list(range(0, 6000, 7))  # 858 of them; then the first documents that score 0
    assert hits.doc[4:].tolist() == [*ones, 1, 2]


@given(
    seed=st.integers(0, 10_000),
    documents=st.integers(60, 400),
    dimensions=st.sampled_from([2, 3, 8, 33]),
    copies=st.integers(1, 40),
    noise=st.sampled_from([0.0, 1e-7, 3e-7, 1e-6]),
)
@settings(max_examples=30, deadline=None)
def test_near_ties_are_settled_as_brute_force_settles_them(seed, documents, dimensions, copies, noise):
    chance = np.random.default_rng(seed)
    base = unit(max(documents // copies, 1), dimensions, seed)
    corpus = np.tile(base, (copies, 1))[chance.permutation(len(base) * copies)]
    corpus = (corpus + noise * chance.standard_normal(corpus.shape)).astype(np.float32)
    queries, k = unit(3, dimensions, seed + 1), np.array([1, 7, 20])
    everything = Hits(
        np.repeat(np.arange(3), len(corpus)),
        np.tile(np.arange(len(corpus)), 3),
        pair_scores(queries, corpus, np.repeat(np.arange(3), len(corpus)), np.tile(np.arange(len(corpus)), 3)),
    )
    for way in WAYS.values():
        assert rows_of(search_exact(queries, corpus, k, **way)) == rows_of(top_hits(everything, k))


def test_ways_block_sizes_threads_and_memory_maps_give_the_same_bits(monkeypatch, tmp_path):
    queries, documents, k = unit(40, 48, seed=5), unit(3000, 48, seed=6), np.arange(40) + 3
    documents[1000:1400] = documents[:400]  # twins
    expected = search_exact(queries, documents, k, "faiss")
    np.save(tmp_path / "documents.npy", documents)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    monkeypatch.setattr(search, "_PAIRS", 7)
    monkeypatch.setattr(search, "_FAISS_QUERIES", 0)
    for module in (sieve, sieve_torch):
        for name, value in {"_TILE": 100, "_QUERIES": 7, "_FIRST": 8, "_CHUNK": 700}.items():
            monkeypatch.setattr(module, name, value)
    for way in WAYS.values():
        halves = [search_exact(queries[part], mapped, k[part], **way) for part in (slice(0, 13), slice(13, 40))]
        merged = join_hits([halves[0], Hits(halves[1].query + 13, halves[1].doc, halves[1].score)])
        assert rows_of(merged) == rows_of(expected)
        for threads in (1, 2):
            with threadpool_limits(threads):
                assert rows_of(search_exact(queries, mapped, k, **way)) == rows_of(expected)


def test_a_query_sees_only_the_first_documents_up_to_its_limit(way):
    queries, documents = unit(50, 24, seed=1), unit(4000, 24, seed=2)
    documents[2000:2300] = documents[:300]  # twins, some of them beyond a limit
    limits = np.random.default_rng(3).integers(0, 4001, 50)
    limits[:4] = 0, 1, 4000, 7
    hits = search_exact(queries, documents, np.full(50, 20), limit_Q=limits, **way)
    for query, limit in enumerate(limits.tolist()):
        alone = search_exact(queries[query : query + 1], documents[:limit], np.array([20]))
        assert hits.doc[hits.query == query].tolist() == alone.doc.tolist()
        assert hits.score[hits.query == query].tolist() == alone.score.tolist()


@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-4, 1.0, 300.0, 3e4]),
    shift=st.sampled_from([0.0, -1.0, 1.0]),
    k=st.integers(1, 30),
)
@settings(max_examples=40, deadline=None)
def test_scores_of_any_sign_and_size_are_cut_where_all_pairs_are(seed, scale, shift, k):
    chance = np.random.default_rng(seed)
    documents = (chance.standard_normal((700, 12)) * scale).astype(np.float32)
    queries = (chance.standard_normal((5, 12)) + shift).astype(np.float32)
    documents[:, 0] -= np.float32(scale * 3 * shift)
    query, doc = np.repeat(np.arange(5), 700), np.tile(np.arange(700), 5)
    everything = Hits(query, doc, pair_scores(queries, documents, query, doc))
    for way in WAYS.values():
        found = search_exact(queries, documents, np.full(5, k), **way)
        assert rows_of(found) == rows_of(top_hits(everything, np.full(5, k)))


def test_documents_that_come_best_last_are_found(way):
    documents = unit(6000, 16, seed=1)
    queries = unit(3, 16, seed=2)
    order = np.argsort(queries[0] @ documents.T)  # the worst possible order for a bar that only rises
    hits = search_exact(queries[:1], documents[order], np.array([10]), **way)
    assert hits.doc.tolist() == list(range(5999, 5989, -1))


def test_pieces_of_a_corpus_merge_to_the_whole():
    queries, documents, k = unit(9, 12, seed=7), np.tile(unit(90, 12, seed=8), (3, 1)), np.full(9, 25)
    whole = search_exact(queries, documents, k)
    parts = [np.arange(start, 270, 4) for start in range(4)]
    pieces = [search_exact(queries, documents[part], k) for part in parts]
    placed = [Hits(hits.query, part[hits.doc], hits.score) for part, hits in zip(parts, pieces, strict=True)]
    assert rows_of(top_hits(join_hits(placed), k)) == rows_of(whole)
    assert rows_of(top_hits(join_hits([*placed, whole, *placed]), k)) == rows_of(whole)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 17, 256, 384])
def test_a_pair_has_one_score_whatever_stands_beside_it(dimensions):
    left, right = unit(50, dimensions, seed=9), unit(4000, dimensions, seed=10)
    query, doc = np.arange(4000) % 50, np.arange(4000)
    scores = pair_scores(left, right, query, doc)
    odd = np.flatnonzero(np.arange(4000) % 3 == 1)
    assert pair_scores(left, right, query[odd], doc[odd]).tobytes() == scores[odd].tobytes()
    alone = [pair_scores(left, right, query[at : at + 1], doc[at : at + 1])[0] for at in range(0, 4000, 97)]
    assert alone == scores[::97].tolist()


def test_scores_have_six_digits_and_no_minus_zero():
    left, right = np.array([[1.0, 0.0]], dtype=np.float32), np.array([[1 / 3, 1], [-1e-9, 1]], dtype=np.float32)
    scores = pair_scores(left, right, np.array([0, 0]), np.array([0, 1]))
    assert scores.tolist() == [0.333333, 0.0]
    assert not np.signbit(scores).any()


def test_fewer_documents_than_asked_for_give_all_of_them():
    hits = search_exact(unit(2, 4), unit(3, 4, seed=1), np.array([100, 2]))
    assert np.bincount(hits.query).tolist() == [3, 2]


def test_nothing_to_search_gives_nothing():
    assert len(search_exact(np.empty((0, 4), np.float32), unit(3, 4), np.empty(0, np.int64))) == 0
    assert len(search_exact(unit(3, 4), np.empty((0, 4), np.float32), np.full(3, 5))) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("role", ["query", "document"])
def test_vectors_that_are_not_finite_are_refused_by_id(value, role):
    queries, documents = unit(30, 4), unit(30, 4, seed=1)
    {"query": queries, "document": documents}[role][[3, 17], 2] = value
    names = (pl.Series([f"q{row}" for row in range(30)]), pl.Series([f"d{row}" for row in range(30)]))
    letter = role[0]
    with pytest.raises(ContractError, match=f"2 {role} vectors are not finite: {letter}3, {letter}17"):
        search_exact(queries, documents, np.full(30, 3), names=names)


def test_vectors_of_two_widths_are_refused():
    with pytest.raises(ContractError, match="query vectors have 4 dimensions, document vectors 8"):
        search_exact(unit(2, 4), unit(2, 8), np.full(2, 1))


def test_one_deep_query_does_not_deepen_the_others(monkeypatch):
    asked = []

    def spy(queries, documents, count, *options):
        asked.append((len(queries), count))
        return sieve.sieve(queries, documents, count, *options)

    monkeypatch.setattr(search, "sieve", spy)
    k = np.full(500, 101)
    k[77] = 2100
    hits = search_exact(unit(500, 8), unit(3000, 8, seed=1), k, "cpu")
    assert asked == [(499, 101), (1, 2100)]
    assert np.bincount(hits.query).tolist() == k.tolist()


def test_a_query_with_thousands_of_ties_is_searched_another_way(monkeypatch, way):
    monkeypatch.setattr(sieve, "_SPARE", 0)
    monkeypatch.setattr(sieve, "_TILE", 128)
    documents = np.concatenate([np.repeat(unit(1, 16, seed=4), 3000, axis=0), unit(500, 16, seed=3)])
    hits = search_exact(unit(2, 16, seed=4), documents, np.array([5, 5]), **way)
    assert hits.doc[hits.query == 0].tolist() == [0, 1, 2, 3, 4]


def test_the_depths_may_have_any_integer_type_and_be_zero():
    hits = search_exact(unit(3, 4), unit(50, 4, seed=1), np.array([0, 2, 0], dtype=np.int32))
    assert hits.query.tolist() == [1, 1]


def test_auto_takes_torch_only_beside_an_nvidia_driver(monkeypatch, tmp_path):
    monkeypatch.setattr(search, "_NVIDIA", (tmp_path / "driver",))
    assert search.chosen_backend("auto") == "cpu"
    (tmp_path / "driver").touch()
    assert search.chosen_backend("auto") == "torch"
    assert search.chosen_backend("faiss") == "faiss"


def test_without_its_error_bound_the_cheap_product_would_lose_documents(monkeypatch):
    """The data of these tests is hard enough: a bar that trusts rounded scores cuts documents that belong."""
    queries, documents, k = unit(60, 48, seed=5), unit(20_000, 48, seed=6), np.full(60, 10)
    right = rows_of(search_exact(queries, documents, k, "cpu", precision="bfloat16"))
    assert right == rows_of(search_exact(queries, documents, k, "cpu", precision="float32"))
    monkeypatch.setattr(sieve, "error_bound", lambda queries, *bounds: np.zeros(len(queries.length_N)))
    monkeypatch.setattr(
        type(find_product("bfloat16", 0)), "stored_error", lambda product, scores: np.zeros(len(scores))
    )
    assert rows_of(search_exact(queries, documents, k, "cpu", precision="bfloat16")) != right


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_documents_that_reach_the_least_score_are_found(precision):
    queries, documents = unit(30, 24, seed=1), unit(3000, 24, seed=2)
    documents[500:900] = documents[:400]
    corpus = search.open_corpus(documents, 1.0, "cpu", precision=precision)
    everything = search.search_corpus(queries, corpus, np.full(30, 200))
    least = everything.score[np.searchsorted(everything.query, np.arange(30)) + 60]  # the 61st score of each
    least[3], least[4] = -np.inf, np.inf
    found = search.search_corpus(queries, corpus, np.full(30, 200), least_Q=least)
    kept = found.score >= least[found.query]
    expected = everything.score >= least[everything.query]
    assert rows_of(Hits(found.query[kept], found.doc[kept], found.score[kept])) == rows_of(
        Hits(everything.query[expected], everything.doc[expected], everything.score[expected])
    )
    assert len(found) < len(everything) / 2  # and little else
