"""Measures from ranks alone agree with those from ranked lists."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.evaluation import MEASURES, evaluate_run
from negset.probing.ranking import measure_vectors


def _by_lists(collection, rows, scores_QN):
    """Measure by whole ranked lists."""
    ids, docs = collection.queries["query_id"], collection.doc_ids
    run = [
        (ids[row], docs[doc], float(score))
        for place, row in enumerate(rows.tolist())
        for doc, score in enumerate(scores_QN[place])
    ]
    place, found = collection.positives.take(rows)
    gains = collection.relevance[collection.positives.entries(rows)]
    qrels = [
        (ids[int(rows[p])], docs[d], int(g))
        for p, d, g in zip(place.tolist(), found.tolist(), gains.tolist(), strict=True)
    ]
    metrics = evaluate_run(
        pl.DataFrame(qrels, schema=["query_id", "doc_id", "relevance"], orient="row"),
        pl.DataFrame(run, schema=["query_id", "doc_id", "score"], orient="row"),
    )
    return metrics.per_query.sort("query_id")


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(12, 130))
def test_agrees_with_ranked_lists_ties_and_grades_too(collection_of, seed, queries, documents):
    chance = np.random.default_rng(seed)
    positives = [chance.choice(documents, chance.integers(1, 12), replace=False).tolist() for _ in range(queries)]
    gains = chance.integers(1, 4, size=sum(len(docs) for docs in positives))
    collection = collection_of(positives, documents=documents, relevance=gains)
    # Few distinct values make many ties.
    queries_QD, documents_ND = (chance.integers(-1, 2, size=(n, 3)).astype(np.float32) for n in (queries, documents))
    rows = np.arange(queries)
    found = measure_vectors(collection, rows, queries_QD, documents_ND)
    expected = _by_lists(collection, rows, queries_QD @ documents_ND.T)
    for measure in MEASURES:
        assert found.values[measure] == pytest.approx(expected[measure].to_numpy())


def test_more_queries_and_positives_than_a_block(collection_of):
    chance = np.random.default_rng(0)
    positives = [[row % 40, (row + 7) % 40] for row in range(1100)]
    collection = collection_of(positives, documents=40)
    queries_QD, documents_ND = (chance.normal(size=(n, 4)).astype(np.float32) for n in (1100, 40))
    rows = np.arange(3, 1100)
    found = measure_vectors(collection, rows, queries_QD[rows], documents_ND)
    expected = _by_lists(collection, rows, queries_QD[rows] @ documents_ND.T)
    assert found.values["ndcg_at_10"] == pytest.approx(expected["ndcg_at_10"].to_numpy())


def test_a_rounding_error_is_a_tie(collection_of):
    """Equal texts may differ in the last bits of a product; the smaller document row comes first all the same."""
    collection = collection_of([[0]], documents=2)
    vectors = np.array([[1.0], [1.0 + 2e-7]], dtype=np.float32)
    found = measure_vectors(collection, np.array([0]), np.ones((1, 1), np.float32), vectors)
    assert found.values["mrr_at_10"].tolist() == [1.0]
