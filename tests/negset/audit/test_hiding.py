import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.audit.hiding import ONCE, TWICE, participation, plan_hiding
from negset.errors import ConfigError
from negset.store import Store
from tests.negset.audit.conftest import LABELS, QUERIES


@pytest.fixture(scope="module")
def evidence(mine_world, tmp_path_factory):
    return mine_world(Store(tmp_path_factory.mktemp("store"))).evidence


@settings(max_examples=30)
@given(share=st.floats(0.05, 0.5), seed=st.integers(0, 99), repeats=st.integers(0, 4))
def test_every_query_keeps_a_label_and_hides_each_positive_at_most_once(evidence, share, seed, repeats):
    plan = plan_hiding(evidence, share, seed, repeats)
    owned = {key[0]: set(part["unit"]) for key, part in evidence.labels.group_by("query")}
    for (query, _world), part in plan.hidden.group_by("query", "world"):
        assert owned[query] - set(part["unit"])
    once = plan.hidden.filter(pl.col("parts") == ONCE)
    assert not once.select("query", "unit").is_duplicated().any()
    if not repeats:
        several = evidence.labels.filter(pl.len().over("query") > 1)
        known = several.join(evidence.queries.filter("asked"), on="query")
        assert set(once["unit"]) >= set(known["unit"])


def test_one_positive_cannot_be_given_up(evidence):
    plan = plan_hiding(evidence, 0.5, 1)
    row = evidence.queries["query_id"].to_list().index("q2")
    assert row not in plan.hidden["query"].to_list()
    counts = participation(plan)
    # q0 hides 6, q1 and r1, which are one text, 5 and 2, q3 3, q5 2; q2 has a single one.
    assert counts == {"queries": 5, "queries_taking_part": 4, "positives": 19, "positives_hidden": 18}


def test_two_parts_are_hidden_together_where_a_label_is_left(evidence):
    plan = plan_hiding(evidence, 0.2, 1)
    ids = evidence.queries["query_id"].to_list()
    of_two = plan.hidden.filter(pl.col("query") == ids.index("q5"))
    assert set(of_two["parts"]) == {ONCE}
    of_six = plan.hidden.filter(pl.col("query") == ids.index("q0"))
    twice = of_six.filter(pl.col("parts") == TWICE)
    assert twice.group_by("world").len()["len"].to_list() == [2] * 6
    assert twice.group_by("unit").len()["len"].to_list() == [2] * 6


def test_the_seed_decides_and_the_order_of_labels_does_not(evidence, mine_world, tmp_path):
    turned = mine_world(Store(tmp_path / "turned"), list(reversed(LABELS))).evidence
    one, same, other = plan_hiding(evidence, 0.2, 1), plan_hiding(turned, 0.2, 1), plan_hiding(evidence, 0.2, 2)
    assert one.hidden.equals(same.hidden)
    assert not one.hidden.equals(other.hidden)


def test_queries_of_one_text_share_what_is_known(mine_world, tmp_path):
    """Two queries of one text, a label each: one can be hidden from the other. As queries apart, nothing could."""
    labels = [("q0", "d03", 1), ("t1", "d11", 1), ("t2", "d12", 1)]
    queries = {"q0": QUERIES["q0"], "t1": "word3 word4", "t2": "Word3  word4"}
    found = mine_world(Store(tmp_path / "twins"), labels, queries=queries).evidence
    plan = plan_hiding(found, 0.2, 1)
    assert participation(plan) == {"queries": 2, "queries_taking_part": 1, "positives": 3, "positives_hidden": 2}
    ids, docs = found.queries["query_id"], found.doc_ids
    told = plan.hidden.join(found.known, on=["query", "unit"])
    pairs = {(ids[query], docs[doc]) for query, doc in told.select("query", "doc").iter_rows()}
    assert pairs == {("t1", "d12"), ("t2", "d11")}


@pytest.mark.parametrize("share", [0, -0.1, 0.51])
def test_a_share_that_hides_nothing_or_too_much_is_refused(evidence, share):
    with pytest.raises(ConfigError, match=r"above 0 and at most 0\.5"):
        plan_hiding(evidence, share, 1)
