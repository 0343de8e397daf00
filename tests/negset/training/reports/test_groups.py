from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ConfigError
from negset.training.reports.groups import (
    UNNAMED,
    domain_groups,
    length_groups,
    positive_lengths,
    query_domains,
    query_lengths,
)


def lengths(words):
    return pl.DataFrame({"query_id": [f"q{place:03}" for place in range(len(words))], "words": words})


def test_domains_are_values_of_a_field_and_a_query_without_one_is_in_none():
    queries = pl.DataFrame(
        {
            "query_id": ["c", "a", "b", "d"],
            "metadata": ['{"of": "law"}', '{"of": 3}', None, '{"else": "x"}'],
        }
    )
    domains = query_domains(queries, "of")
    assert domains.rows() == [("a", "3"), ("b", UNNAMED), ("c", "law"), ("d", UNNAMED)]
    groups = domain_groups(domains, pl.Series(["a", "b", "c"]))
    assert [(group.name, group.query_ids) for group in groups] == [("(none)", ("b",)), ("3", ("a",)), ("law", ("c",))]
    with pytest.raises(ConfigError, match="names the column 'off'"):
        query_domains(queries, "off")


def test_equal_lengths_stay_together():
    groups = length_groups(lengths([2] * 6 + [3, 4]), "query length", 4)
    assert [(group.name, len(group.query_ids)) for group in groups] == [("2 words", 6), ("3 to 4 words", 2)]


def test_bins_are_of_equal_size_where_lengths_differ():
    groups = length_groups(lengths([8, 7, 6, 5, 4, 3, 2, 1]), "query length", 4)
    assert [group.name for group in groups] == ["1 to 2 words", "3 to 4 words", "5 to 6 words", "7 to 8 words"]
    assert groups[0].query_ids == ("q006", "q007")


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(2, 6), st.randoms(use_true_random=False))
def test_bins_part_the_queries_whatever_their_order(words, bins, random):
    frame = lengths(words)
    groups = length_groups(frame, "query length", bins)
    rows = frame.rows()
    random.shuffle(rows)
    again = length_groups(pl.DataFrame(rows, schema=frame.schema, orient="row"), "query length", bins)
    assert groups == again
    assert len(groups) <= bins
    ids = [name for group in groups for name in group.query_ids]
    assert sorted(ids) == frame["query_id"].to_list()
    known = dict(rows)
    spans = [(min(known[name] for name in g.query_ids), max(known[name] for name in g.query_ids)) for g in groups]
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_lengths_are_words_and_those_of_positives_a_mean():
    queries = pl.DataFrame({"query_id": ["a", "b"], "text": ["one two three", "x"]})
    assert query_lengths(queries)["words"].to_list() == [3, 0]  # a word has two letters or more
    documents = pl.DataFrame({"doc_id": ["d", "e", "f"], "title": ["head", None, None], "text": ["aa bb", "cc", "dd"]})
    positives = pl.DataFrame({"query_id": ["a", "a", "b", "b"], "doc_id": ["d", "e", "e", "e"]})
    assert positive_lengths(positives, documents).rows() == [("a", 2), ("b", 1)]
    assert np.mean([3, 1]) == 2
