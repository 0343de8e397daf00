"""Mostly a chain: A contains B, which contains C. The queries B and C have A as their positive, C has B too."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.miners import relation
from negset.mining.miners.relation import related_pairs
from negset.mining.positives import known_positives
from negset.mining.times import FIRST, LAST
from schemas.config import MineConfig, RelationConfig

CHAIN = [("B", "A", 1), ("C", "A", 1), ("C", "B", 1)]


def world(memory_snapshot, labels, names="ABC", texts=None, **more):
    texts = texts or {name: f"text of {name}" for name in names}
    queries = {name: f"query {name}" for name in names}
    return memory_snapshot(texts, queries, labels, **more)


def proposed(snapshot, **options):
    """Give {(query, doc): score} by ids."""
    queries, documents = snapshot.queries()["query_id"], snapshot.document_columns("doc_id")["doc_id"]
    return {
        (queries[query], documents[doc]): score
        for query, doc, score in related_pairs(snapshot, RelationConfig(**options)).rows()
    }


def test_all_reversed_pairs_of_a_chain_are_proposed_and_no_forward_one(memory_snapshot):
    found = proposed(world(memory_snapshot, CHAIN))
    assert found == {("A", "B"): 1.0, ("A", "C"): 1.0, ("B", "C"): 1.0}  # B and C share A, but C points at B


def test_parts_of_one_whole_are_mutual_siblings(memory_snapshot):
    found = proposed(world(memory_snapshot, [("B", "A", 1), ("C", "A", 1)]))
    assert found == {("A", "B"): 1.0, ("A", "C"): 1.0, ("B", "C"): 0.5, ("C", "B"): 0.5}


def test_each_kind_can_be_left_out(memory_snapshot):
    snapshot = world(memory_snapshot, [("B", "A", 1), ("C", "A", 1)])
    assert set(proposed(snapshot, siblings=False)) == {("A", "B"), ("A", "C")}
    assert set(proposed(snapshot, reverse=False)) == {("B", "C"), ("C", "B")}
    assert proposed(snapshot, reverse=False, siblings=False) == {}


def test_a_pair_labelled_both_ways_is_never_proposed(memory_snapshot):
    assert proposed(world(memory_snapshot, [("A", "B", 1), ("B", "A", 1), ("C", "A", 1)])) == {
        ("A", "C"): 1.0,
        ("B", "C"): 0.5,
        ("C", "B"): 0.5,
    }


def test_a_miner_that_symmetrises_would_propose_positives(memory_snapshot, monkeypatch):
    """The labels read both ways, and known positives not left out: forward pairs come out, which the chain forbids."""
    snapshot = world(memory_snapshot, CHAIN)
    plain = relation._reverse
    forward = {(query, doc) for query, doc, _ in CHAIN}

    def both_ways(labels, own):
        backward = plain(labels, own)
        return backward.vstack(labels.select("query", "doc"))

    monkeypatch.setattr(relation, "_reverse", both_ways)
    assert not set(proposed(snapshot)) & forward
    monkeypatch.setattr(relation, "known_positives", lambda snapshot: known_positives(snapshot).clear())
    assert set(proposed(snapshot)) & forward == forward


def test_a_judged_zero_points_nowhere(memory_snapshot):
    assert proposed(world(memory_snapshot, [("B", "A", 0), ("C", "A", 1)])) == {("A", "C"): 1.0}


def test_twins_of_a_positive_are_not_proposed(memory_snapshot):
    texts = {"A": "whole", "B": "part", "C": "whole"}
    assert ("B", "C") not in proposed(world(memory_snapshot, [("B", "A", 1), ("C", "A", 1)], texts=texts))


def test_queries_are_documents_by_id_or_by_text(memory_snapshot):
    documents = {"d1": "whole", "d2": "a part", "d3": "other"}
    snapshot = memory_snapshot(documents, {"q1": "Whole", "q2": "a  part"}, [("q2", "d1", 1)])
    assert proposed(snapshot) == {}
    assert proposed(snapshot, by="text") == {("q1", "d2"): 1.0}


def test_labels_of_another_split_propose_nothing(memory_snapshot):
    labels = [("B", "A", 1), ("C", "A", 1)]
    snapshot = world(memory_snapshot, labels, splits={"C": "test"})
    assert proposed(snapshot) == {("A", "B"): 1.0}


def test_a_hub_gives_each_of_its_queries_as_many_siblings_as_allowed(memory_snapshot):
    names = "ABCDEFG"
    snapshot = world(memory_snapshot, [(name, "A", 1) for name in names[1:]], names=names)
    found = [pair for pair, score in proposed(snapshot, max_siblings=2).items() if score == 0.5]
    assert sorted("".join(pair) for pair in found) == sorted("BC BD CD CE DE DF EF EG FG FB GB GC".split())
    assert sum(score == 0.5 for score in proposed(snapshot, max_siblings=5).values()) == 6 * 5


@given(
    labels=st.sets(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from("ABCDEF")).filter(lambda p: p[0] != p[1])),
    siblings=st.booleans(),
)
def test_the_miner_gives_what_the_definition_says(memory_snapshot, labels, siblings):
    found = proposed(world(memory_snapshot, [(*pair, 1) for pair in labels], names="ABCDEF"), siblings=siblings)
    expected = {}
    for query in "ABCDEF":
        for doc in "ABCDEF":
            if query == doc or (query, doc) in labels:
                continue
            shared = {t for q, t in labels if q == query} & {t for q, t in labels if q == doc}
            if (doc, query) in labels:
                expected[query, doc] = 1.0
            elif siblings and shared:
                expected[query, doc] = 0.5
    assert found == expected


def inputs_of(snapshot, **options):
    return MiningInputs(snapshot, MineConfig(miners=("relation",), depth=10, relation=RelationConfig(**options)), 13)


def test_cells_hold_the_pairs_whatever_the_partitions(memory_snapshot, cell_rows, store):
    rows = [
        sorted(
            cell_rows(
                inputs_of(world(memory_snapshot, [("B", "A", 1), ("C", "A", 1)], partitions=n)), "relation", store
            )
        )
        for n in (1, 3)
    ]
    assert rows[0] == rows[1] == [("B", "C", 0.5), ("C", "B", 0.5)]  # A has no positive and is not mined


def test_a_changed_label_is_mined_again_and_an_unrelated_document_is_not(memory_snapshot):
    def named(labels, names="ABC", **options):
        snapshot = world(memory_snapshot, labels, names=names)
        return find_miner("relation").identity(inputs_of(snapshot, **options))

    plain = named(CHAIN)
    assert plain == named(list(reversed(CHAIN)))
    assert plain != named(CHAIN[:2])
    assert plain != named(CHAIN, siblings=False)
    snapshot = memory_snapshot(
        {**{name: f"text of {name}" for name in "ABC"}, "0": "first of all"},
        {name: f"query {name}" for name in "ABC"},
        CHAIN,
    )
    assert plain == find_miner("relation").identity(inputs_of(snapshot))


@pytest.mark.parametrize("by", ["id", "text"])
def test_no_query_that_is_a_document_is_no_pair(memory_snapshot, by):
    snapshot = memory_snapshot({"d": "x", "e": "y"}, {"q": "z", "r": "w"}, [("q", "d", 1), ("r", "d", 1)])
    assert proposed(snapshot, by=by) == {}
    opened = find_miner("relation").open_miner(inputs_of(snapshot, by=by))
    queries = Queries(np.array([0]), pl.Series(["q"]), pl.Series(["z"]), np.array([1]), np.array([LAST]))
    documents = Documents(pl.Series(["d"]), pl.Series(["x"]), np.array([0]), np.array([FIRST]))
    assert opened.score_pairs is not None
    assert np.isnan(opened.score_pairs(queries, documents, np.array([0]), np.array([0]))).all()
    assert not len(opened.open_partition(documents)(queries))
