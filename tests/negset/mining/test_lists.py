"""Lists that are carried over to a changed corpus begin as fresh ones do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.mining.lists import (
    EVERYTHING,
    Lists,
    fresh_lists,
    insert_hits,
    join_lists,
    no_lists,
    patch_lists,
    replace_lists,
    reserve,
    too_short,
)
from negset.search import Hits, top_hits


def hits(*rows):
    query, doc, score = zip(*rows, strict=True) if rows else ((), (), ())
    return Hits(np.array(query, dtype=np.int64), np.array(doc, dtype=np.int64), np.array(score, dtype=float))


def rows_of(found):
    return list(zip(found.query.tolist(), found.doc.tolist(), found.score.tolist(), strict=True))


def length(*values):
    return np.array(values)


def test_a_full_list_has_its_last_entry_for_a_floor_and_a_short_one_holds_everything():
    lists = fresh_lists(hits((0, 4, 0.9), (0, 2, 0.5), (1, 7, 0.3)), length(2, 2))
    assert lists.floor_Q.tolist() == [0.5, EVERYTHING]
    assert lists.floor_doc_Q.tolist() == [3, 0]


def test_a_document_below_the_floor_does_not_join():
    """Others between the floor and it may have been cut, so it would come out of turn."""
    old = fresh_lists(hits((0, 4, 0.9), (0, 2, 0.5)), length(2))
    added = hits((0, 1, 0.7), (0, 6, 0.5), (0, 5, 0.4))
    assert rows_of(patch_lists(old, added, length(9)).hits) == [(0, 4, 0.9), (0, 1, 0.7), (0, 2, 0.5)]


def test_a_tie_with_the_floor_joins_if_its_row_is_smaller():
    old = fresh_lists(hits((0, 4, 0.9), (0, 2, 0.5)), length(2))
    assert rows_of(patch_lists(old, hits((0, 1, 0.5)), length(9)).hits)[1:] == [(0, 1, 0.5), (0, 2, 0.5)]
    assert rows_of(patch_lists(old, hits((0, 3, 0.5)), length(9)).hits)[1:] == [(0, 2, 0.5)]


def test_a_list_that_lost_documents_keeps_its_floor_and_may_be_too_short():
    old = Lists(hits((0, 4, 0.9)), np.array([0.5]), np.array([3]))  # document 2, at the floor, left
    patched = patch_lists(old, hits(), length(2))
    assert patched.floor_Q.tolist() == [0.5]
    assert too_short(patched, length(2)).tolist() == [True]
    assert too_short(patched, length(1)).tolist() == [False]
    everything = Lists(hits((0, 4, 0.9)), np.array([EVERYTHING]), np.array([0]))
    assert too_short(everything, length(2)).tolist() == [False]


def test_a_query_without_a_list_is_too_short():
    lists = join_lists([(np.array([1]), fresh_lists(hits((0, 3, 0.4)), length(5)))], 2)
    assert too_short(lists, length(1, 1)).tolist() == [True, False]
    assert rows_of(patch_lists(lists, hits((0, 9, 0.9), (1, 2, 0.1)), length(5, 5)).hits) == [(1, 3, 0.4), (1, 2, 0.1)]


def test_lists_are_replaced_whole():
    lists = fresh_lists(hits((0, 4, 0.9), (1, 2, 0.5), (2, 3, 0.1)), length(1, 1, 1))
    replaced = replace_lists(lists, np.array([1]), fresh_lists(hits((0, 8, 0.7), (0, 9, 0.6)), length(2)))
    assert rows_of(replaced.hits) == [(0, 4, 0.9), (1, 8, 0.7), (1, 9, 0.6), (2, 3, 0.1)]
    assert replaced.floor_Q.tolist() == [0.9, 0.6, 0.1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99), st.sampled_from([0.1, 0.2, 0.3])), max_size=60))
@settings(max_examples=100, deadline=None)
def test_inserting_is_merging(pairs):
    distinct = {(query, doc): score for query, doc, score in pairs}
    everything = hits(*((query, doc, score) for (query, doc), score in distinct.items()))
    deep = np.full(5, 1000)
    some, rest = (
        top_hits(Hits(everything.query[part], everything.doc[part], everything.score[part]), deep)
        for part in (everything.doc % 3 == 0, everything.doc % 3 != 0)
    )
    assert rows_of(insert_hits(some, rest)) == rows_of(top_hits(everything, deep))


@given(seed=st.integers(0, 10_000), changes=st.integers(1, 6), depth=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_patched_lists_begin_as_fresh_ones_after_any_changes(seed, changes, depth):
    chance = np.random.default_rng(seed)
    scores = chance.integers(0, 6, (3, 200)) / 4  # many ties
    present = set(chance.choice(200, 30, replace=False).tolist())
    depths, lengths = np.full(3, depth), np.full(3, depth + 2)

    def search(documents, wanted):
        query, doc = np.repeat(np.arange(3), len(documents)), np.tile(sorted(documents), 3).astype(np.int64)
        return top_hits(Hits(query, doc, scores[query, doc]), wanted)

    lists = fresh_lists(search(present, lengths), lengths)
    for _ in range(changes):
        left = {doc for doc in present if chance.random() < 0.15}
        came = {doc for doc in range(200) if doc not in present and chance.random() < 0.03}
        present = (present - left) | came
        kept = ~np.isin(lists.hits.doc, sorted(left))
        old = Hits(lists.hits.query[kept], lists.hits.doc[kept], lists.hits.score[kept])
        lists = patch_lists(Lists(old, lists.floor_Q, lists.floor_doc_Q), search(came, lengths), lengths)
        again = np.flatnonzero(too_short(lists, depths))
        whole = search(present, lengths)
        fresh = Hits(*(getattr(whole, name)[np.isin(whole.query, again)] for name in ("query", "doc", "score")))
        numbered = Hits(np.searchsorted(again, fresh.query), fresh.doc, fresh.score)
        lists = replace_lists(lists, again, fresh_lists(numbered, lengths[again]))
        assert rows_of(top_hits(lists.hits, depths)) == rows_of(search(present, depths))


def test_nothing_is_nothing():
    assert len(no_lists(3).hits) == 0
    assert reserve(length(0, 8, 100)).tolist() == [4, 5, 16]


def test_the_reserve_outlives_a_change_of_one_in_a_hundred():
    """Losing more than the reserve of a list of 100 is rarer than one in 10**12, at one change in 100."""
    from scipy.stats import poisson

    assert poisson.sf(reserve(length(100))[0], 1.16) < 1e-12
    assert poisson.sf(4, 1.16) > 1e-3  # a smaller one would not do


@pytest.mark.parametrize("rows", [[], [(0, 1, 0.5)]])
def test_inserting_into_nothing_gives_what_is_inserted(rows):
    assert rows_of(insert_hits(hits(), hits(*rows))) == rows
