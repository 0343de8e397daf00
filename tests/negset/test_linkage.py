import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.linkage import deal_groups, linked_groups


def test_queries_are_linked_by_texts_and_positives_through_others():
    """Queries 0 and 1 share a text, 1 and 2 a positive, 3 shares nothing."""
    text, query, doc = np.array([0, 0, 1, 2]), np.array([1, 2, 3]), np.array([7, 7, 8])
    group = linked_groups(text, query, doc, largest=10)
    assert group[0] == group[1] == group[2] != group[3]
    apart = linked_groups(text, query, doc, largest=2)
    assert apart[0] == apart[1]
    assert len({*apart.tolist()}) == 3


def test_the_largest_groups_are_dealt_first_and_each_to_the_smallest_fold():
    fold = deal_groups(np.array([0, 0, 0, 1, 1, 2, 3]), np.arange(7, dtype=np.uint64), 2)
    assert np.bincount(fold).tolist() == [3, 4] or np.bincount(fold).tolist() == [4, 3]
    assert len({*fold[:3].tolist()}) == len({*fold[3:5].tolist()}) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.data())
def test_no_positive_is_in_two_groups_of_queries(texts, data):
    text = np.unique(texts, return_inverse=True)[1].reshape(-1)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(0, 6)), max_size=25))
    query, doc = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    group = linked_groups(text, query, doc, largest=1e9)
    assert group.min() == 0
    for shared in np.unique(doc):
        assert len(np.unique(group[query[doc == shared]])) == 1
    for shared in np.unique(text):
        assert len(np.unique(group[text == shared])) == 1
