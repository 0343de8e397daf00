import faiss
import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from negset.errors import ContractError
from negset.indexes.kind import FILES, Setting, find_kind
from negset.indexes.recall import found_shares
from negset.indexes.search import OpenIndex, mine_indexed, search_index
from negset.mining.miner import Documents, Queries
from negset.mining.times import FIRST, LAST
from negset.search import Hits, join_hits, pair_scores, search_exact

DOCUMENTS = 3000
FIXED = Setting(nprobe=12, ef_search=60, refine_factor=4)


@pytest.fixture(scope="module", params=sorted(FILES))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def opened(kind, vectors):
    return open_kind(kind, vectors(DOCUMENTS, seed=1), FIXED)


def open_kind(kind, documents, setting=None):
    module = find_kind(kind)
    propose = module.open_index(module.build_index(documents, 13), documents)
    how = module.settings(len(documents), setting or Setting())[-1]
    return OpenIndex(propose, documents, how)


def mine(opened, queries, queries_QD, documents, calls=None):
    def exact(some):
        if calls is not None:
            calls.append(some.query_id.to_list())
        return search_admissible(some, documents, queries_QD[some.rows], opened.documents_ND)

    return mine_indexed(opened, queries, queries_QD, documents, exact)


def search_admissible(queries, documents, queries_QD, documents_ND):
    """Search each query alone, among the documents that were created when it may know of them."""
    parts = []
    for query, until in enumerate(queries.until.tolist()):
        seen = np.flatnonzero(documents.created <= until)
        hits = search_exact(queries_QD[query : query + 1], documents_ND[seen], queries.depths[query : query + 1])
        parts.append(Hits(hits.query + query, seen[hits.doc], hits.score))
    return join_hits(parts)


def rows_of(hits):
    return list(zip(hits.query.tolist(), hits.doc.tolist(), hits.score.tolist(), strict=True))


def test_scores_are_canonical_and_lists_in_order(opened, vectors):
    queries, depths = vectors(60, seed=2), np.arange(60) % 40 + 1
    hits, unanswered = search_index(opened, queries, depths)
    assert not len(unanswered)
    assert np.bincount(hits.query).tolist() == depths.tolist()
    assert hits.score.tobytes() == pair_scores(queries, opened.documents_ND, hits.query, hits.doc).tobytes()
    rows = rows_of(hits)
    assert rows == sorted(rows, key=lambda row: (row[0], -row[2], row[1]))
    assert len({row[:2] for row in rows}) == len(rows)


def test_most_of_the_exact_hits_are_found(opened, vectors):
    queries, depths = vectors(100, seed=2), np.full(100, 20)
    exact, found = search_exact(queries, opened.documents_ND, depths), search_index(opened, queries, depths)[0]
    assert found_shares(exact, found, 100).mean() > 0.9


def test_searching_as_hard_as_can_be_finds_all(kind, vectors):
    queries, depths, documents = vectors(50, seed=2), np.full(50, 20), vectors(DOCUMENTS, seed=1)
    found, _ = search_index(open_kind(kind, documents), queries, depths)
    assert rows_of(found) == rows_of(search_exact(queries, documents, depths))


def test_blocks_and_threads_change_nothing(kind, opened, vectors):
    queries, depths = vectors(90, seed=2), np.full(90, 20)
    together, _ = search_index(opened, queries, depths)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with threadpool_limits(1):
            again = open_kind(kind, opened.documents_ND, FIXED)
            apart = [search_index(again, queries[n : n + 1], depths[:1])[0] for n in range(90)]
    finally:
        faiss.omp_set_num_threads(before)
    assert np.concatenate([hits.doc for hits in apart]).tolist() == together.doc.tolist()
    assert np.concatenate([hits.score for hits in apart]).tobytes() == together.score.tobytes()


def test_identical_documents_are_as_good_as_each_other(kind, vectors):
    documents = np.concatenate([vectors(1500, seed=1), np.repeat(vectors(1, seed=7), 1500, axis=0)])
    queries = np.repeat(documents[-1:], 2, axis=0)
    opened = open_kind(kind, documents, FIXED)
    hits = mine(opened, Queries(*_plain(2, 40)), queries, _documents(3000))
    assert np.bincount(hits.query).tolist() == [40, 40]
    assert set(hits.score.tolist()) == {1.0}
    assert (hits.doc >= 1500).all()
    assert (np.diff(hits.doc[:40]) > 0).all()


def test_a_query_that_wants_more_than_there_is_gets_all(kind, opened, vectors):
    queries, calls = vectors(3, seed=2), []
    asked = Queries(*_plain(3, [5, DOCUMENTS + 10, DOCUMENTS - 3]))
    hits = mine(opened, asked, queries, _documents(DOCUMENTS), calls)
    assert np.bincount(hits.query).tolist() == [5, DOCUMENTS, DOCUMENTS - 3]
    assert calls == [["q1", "q2"]]
    assert hits.doc.min() == 0


def test_a_list_that_the_index_cannot_fill_is_searched_exactly(vectors):
    """faiss pads with row -1, which would be the last document."""
    queries, documents = vectors(4, seed=2), vectors(DOCUMENTS, seed=1)
    full = search_exact(queries, documents, np.full(4, 20))

    def half(queries_QD, count, how):
        rows = np.full((len(queries_QD), count), -1)
        rows[:, :19] = np.arange(19)
        rows[2] = np.arange(count)
        return rows

    calls = []
    opened = OpenIndex(half, documents, Setting())
    hits = mine(opened, Queries(*_plain(4, 20)), queries, _documents(DOCUMENTS), calls)
    assert calls == [["q0", "q1", "q3"]]
    assert rows_of(hits)[:40] == rows_of(full)[:40]
    assert set(hits.doc[hits.query == 2].tolist()) < set(range(64))


def test_zero_vectors_score_zero(kind, vectors):
    documents, queries = vectors(DOCUMENTS, seed=1), vectors(2, seed=2)
    documents[:50], queries[0] = 0, 0
    hits = mine(open_kind(kind, documents, FIXED), Queries(*_plain(2, 20)), queries, _documents(DOCUMENTS))
    assert rows_of(hits)[:20] == [(0, doc, 0.0) for doc in range(20)]
    assert (hits.score[20:] > 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_not_finite_is_named(opened, vectors, bad):
    queries = vectors(3, seed=2)
    queries[1, 4] = bad
    with pytest.raises(ContractError, match="1 query vectors are not finite: q1"):
        mine(opened, Queries(*_plain(3, 20)), queries, _documents(DOCUMENTS))


def test_another_width_is_refused(opened, vectors):
    with pytest.raises(ContractError, match="query vectors have 25 dimensions, indexed vectors 24"):
        search_index(opened, vectors(2, 25), np.full(2, 20))


def test_a_query_sees_no_document_of_its_future(opened, vectors):
    queries, documents = vectors(3, seed=2), _documents(DOCUMENTS)
    created = documents.created.copy()
    best = search_exact(queries, opened.documents_ND, np.full(3, 20))
    created[best.doc[best.query == 1][:5]] = 1001
    documents = type(documents)(documents.doc_id, documents.text, documents.rows, created)
    calls = []
    asked = Queries(*_plain(3, 20)[:4], np.array([1001, 1000, 1001]))
    hits = mine(opened, asked, queries, documents, calls)
    assert calls == [["q1"]]
    assert (created[hits.doc[hits.query == 1]] <= 1000).all()
    assert hits.doc[hits.query == 1].tolist()[:15] == best.doc[best.query == 1].tolist()[5:]


def _plain(number, depth):
    names = pl.Series([f"q{n}" for n in range(number)])
    return np.arange(number), names, names, np.broadcast_to(depth, number), np.full(number, LAST)


def _documents(number):
    names = pl.Series([f"d{n}" for n in range(number)])
    return Documents(names, names, np.arange(number), np.full(number, FIRST))
