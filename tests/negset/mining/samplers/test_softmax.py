import math

import pytest

from negset.mining.samplers.softmax import SoftmaxParams, softmax

QUERIES = 20_000
SCORES = [0.8, 0.6, 0.4, 0.2]
WEIGHTS = [math.exp(score / 0.2) for score in SCORES]
CHANCES = [weight / sum(WEIGHTS) for weight in WEIGHTS]


def shares(candidates, k):
    frame = candidates(
        SCORES * QUERIES, query=[query for query in range(QUERIES) for _ in SCORES], doc=[0, 1, 2, 3] * QUERIES
    )
    drawn = softmax(frame.lazy(), SoftmaxParams(k=k, temperature=0.2)).collect().drop_nulls("position")
    counts = dict(drawn["doc"].value_counts().iter_rows())
    return drawn, [counts[doc] / QUERIES for doc in range(4)]


def test_first_draws_follow_the_softmax(candidates):
    drawn, found = shares(candidates, 1)
    assert found == pytest.approx(CHANCES, abs=0.015)
    assert drawn.group_by("doc").agg(drawn["sample_prob"].first()).height == 4
    first = drawn.unique("doc").sort("doc")["sample_prob"].to_list()
    assert first == pytest.approx(CHANCES, abs=1e-9)


def test_two_draws_are_without_replacement(candidates):
    _, found = shares(candidates, 2)
    pairs = [
        CHANCES[doc] + sum(CHANCES[other] * CHANCES[doc] / (1 - CHANCES[other]) for other in range(4) if other != doc)
        for doc in range(4)
    ]
    assert found == pytest.approx(pairs, abs=0.015)


def test_a_tiny_temperature_is_top_and_does_not_underflow(candidates):
    drawn = softmax(candidates([-900.0, 0.5, -800.0, 0.4]).lazy(), SoftmaxParams(k=3, temperature=1e-6)).collect()
    assert drawn["position"].to_list() == [None, 1, 3, 2]


def test_rejected_scores_weigh_nothing(candidates):
    frame = candidates([90.0, 0.5, 0.5], rejected_by=["margin", None, None])
    drawn = softmax(frame.lazy(), SoftmaxParams(k=2)).collect()
    assert drawn["position"].to_list() == [None, 1, 2]
    assert drawn["sample_prob"].to_list() == [None, 0.5, 0.5]


def test_without_a_score_there_is_no_chance(candidates):
    drawn = softmax(candidates([0.5, None, None]).lazy(), SoftmaxParams(k=3)).collect()
    assert drawn["position"].to_list() == [1, None, None]


def test_where_no_survivor_has_a_score_chances_are_equal(candidates):
    frame = candidates([0.5, None, None], rejected_by=["margin", None, None])
    drawn = softmax(frame.lazy(), SoftmaxParams(k=2)).collect()
    assert drawn["position"].to_list() == [None, 1, 2]
    assert drawn["sample_prob"].to_list() == [None, 0.5, 0.5]
