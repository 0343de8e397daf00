import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.mining import postings
from negset.mining.postings import Postings, QueryTerms, best_documents, candidates, expand, places_among
from negset.mining.times import FIRST, LAST
from negset.search import canonical

TERMS = 4
WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 1.0000001, 0.0000001])
"""Some differ by less than is left after rounding, and one is nothing then."""


@st.composite
def corpora(draw):
    """Weights of up to 300 documents (0: not there), their times, and queries with depth and limit."""
    documents = draw(st.integers(0, 12)) * draw(st.sampled_from([1, 25]))
    chance = np.random.default_rng(draw(st.integers(0, 9)))
    given_weights = draw(st.lists(WEIGHTS, min_size=2, max_size=4))
    weights = chance.choice([0.0, *given_weights], size=(documents, TERMS))
    created = chance.integers(0, 4, documents) if draw(st.booleans()) else np.full(documents, FIRST)
    queries = draw(st.integers(0, 5))
    counts = chance.integers(0, 3, (queries, TERMS + 1))  # the last term stands in no document
    until = chance.choice([0, 1, 3, LAST, FIRST], queries)
    return weights, created, counts, chance.integers(0, 9, queries), until


def as_postings(weights, created):
    order = np.argsort(created, kind="stable")
    term, document = np.nonzero(weights[order].T)
    starts = np.searchsorted(term, np.arange(TERMS + 1))
    numbers = np.arange(TERMS, dtype=np.int32) * 10
    return Postings(numbers, starts, document.astype(np.int32), weights[order][document, term], order, created[order])


def as_terms(counts):
    query, term = np.nonzero(counts)
    ends = np.searchsorted(query, np.arange(len(counts) + 1))
    return QueryTerms(ends, term * 10, counts[query, term].astype(np.int32))


def by_brute_force(weights, created, counts, depths, until):
    found = []
    for query, depth in enumerate(depths.tolist()):
        scores = np.zeros(len(weights))
        for term in range(TERMS):
            scores += counts[query, term] * weights[:, term]
        rounded = canonical(scores)
        known = [doc for doc in range(len(weights)) if created[doc] <= until[query] and rounded[doc] > 0]
        best = sorted(known, key=lambda doc, rounded=rounded: (-rounded[doc], doc))[:depth]
        found += [(query, doc, rounded[doc]) for doc in best]
    return found


@pytest.mark.parametrize("few", [0, 1000])
@given(corpus=corpora())
def test_the_best_are_those_of_brute_force_for_few_documents_and_many(few, corpus):
    weights, created, counts, depths, until = corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_FEW", few)
        patch.setattr(postings, "_WORK", 40)
        patch.setattr(postings, "_GROUP", 8)
        patch.setattr(postings, "_SPARE", 2)
        hits = best_documents(as_postings(weights, created), as_terms(counts), depths, until)
    found = list(zip(hits.query.tolist(), hits.doc.tolist(), hits.score.tolist(), strict=True))
    assert found == by_brute_force(weights, created, counts, depths, until)


def test_a_document_of_later_takes_no_place_from_others():
    weights = np.zeros((6, TERMS))
    weights[:, 0] = [5, 4, 3, 2, 1, 1]
    created = np.array([9, 7, 8, 7, 7, 7])
    for few in (0, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postings, "_FEW", few)
            hits = best_documents(
                as_postings(weights, created), as_terms(np.array([[1]] * 3)), np.array([2, 3, 2]), np.array([7, 8, 6])
            )
        assert list(zip(hits.query.tolist(), hits.doc.tolist(), strict=True)) == [
            (0, 1),
            (0, 3),
            (1, 1),
            (1, 2),
            (1, 3),
        ]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.5000001, 0.5000009, 2.0]), max_size=64), st.integers(1, 70))
def test_no_candidate_is_missed_and_no_zero_taken(scores, depth):
    padded = np.zeros(64)
    padded[: len(scores)] = scores
    found = set(candidates(padded, depth).tolist())
    assert all(padded[place] > 0 for place in found)
    best = sorted(range(64), key=lambda place: -canonical(padded)[place])
    last = canonical(padded)[best[min(depth, 64) - 1]]
    assert found >= {place for place in range(64) if canonical(padded)[place] >= last and padded[place] > 0}


def test_thousands_that_tie_are_cut_at_the_depth(monkeypatch):
    weights = np.zeros((5000, TERMS))
    weights[:, 0] = 1.0
    hits = best_documents(
        as_postings(weights, np.full(5000, FIRST)), as_terms(np.array([[1], [1]])), np.array([3, 2]), np.full(2, LAST)
    )
    assert (hits.query.tolist(), hits.doc.tolist()) == ([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    parts = []
    join = postings.join_hits
    monkeypatch.setattr(postings, "join_hits", lambda found: parts.extend(found) or join(found))
    best_documents(
        as_postings(weights, np.full(5000, FIRST)), as_terms(np.array([[1], [1]])), np.array([3, 2]), np.full(2, LAST)
    )
    assert [len(part) for part in parts] == [3, 2]  # not 5,000 of each query, waiting for the end


def test_runs_and_places():
    assert expand(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert expand(np.array([], dtype=int), np.array([], dtype=int)).tolist() == []
    assert places_among(np.array([4, 0, 9]), np.array([0, 4, 5])).tolist() == [1, 0, 3]
    assert places_among(np.array([4]), np.array([], dtype=int)).tolist() == [0]
