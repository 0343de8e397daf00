from dataclasses import replace

import numpy as np
import pytest

from negset.batching.margins import bin_margins, draw_pairs
from negset.batching.packing import check_visits
from negset.batching.planner import PlanSettings, find_plan, lots, plan_params
from negset.errors import ContractError


def opened(inputs, *, size=32, seed=1, epochs=2, **options):
    found = find_plan("tas-balanced")
    return found.open(inputs, PlanSettings(seed, size, epochs), plan_params(found, options))


@pytest.fixture(scope="module")
def world(topics, plan_inputs, scored_pairs):
    vectors, topic = topics(20, 50, 0.05)
    pairs = scored_pairs([(row, row, 1000 + row, 1.0) for row in range(1000)])
    return plan_inputs(1000, documents=2000, vectors=lambda: vectors, pairs=lambda _by: pairs), topic


@pytest.mark.parametrize("draw", ["once", "uniform", "size"])
def test_twenty_topics_of_fifty_give_batches_of_one_topic(world, draw, pair_share):
    inputs, topic = world
    visits = opened(inputs, clusters=20, draw=draw)(0)
    assert pair_share(visits, topic) == 1.0
    assert len(visits.in_batch_B) >= 1000 // 32


def test_a_random_order_would_give_one_pair_in_twenty(world, pair_share):
    inputs, topic = world
    found = find_plan("shuffled")
    visits = found.open(inputs, PlanSettings(1, 32, 1), plan_params(found, {}))(0)
    assert pair_share(visits, topic) == pytest.approx(0.049, abs=0.006)


def test_each_query_comes_once_and_with_replacement_would_not(world):
    inputs, _ = world
    once, drawn = opened(inputs, clusters=20)(0), opened(inputs, clusters=20, draw="uniform")(0)
    assert sorted(once.query_V.tolist()) == list(range(1000))
    check_visits(drawn, 1000, 32, every=False, repeats=True, name="drawn")
    with pytest.raises(ContractError, match="visits queries twice"):
        check_visits(drawn, 1000, 32, every=False, repeats=False, name="drawn")


def batches_of(visits):
    return np.split(visits.query_V, np.flatnonzero(np.diff(visits.batch_V)) + 1)


@pytest.mark.parametrize("draw", ["once", "uniform"])
def test_a_small_cluster_is_taken_whole_and_the_batch_filled_up(topics, plan_inputs, draw):
    """A topic of 7, a topic of 60, batches of 32."""
    (seven, _), (sixty, _) = topics(1, 7, 0.01), topics(1, 60, 0.01, seed=3)
    vectors = np.concatenate([seven, sixty])
    inputs = plan_inputs(67, vectors=lambda: vectors)
    drawn = 0
    for epoch in range(8):
        for rows in batches_of(opened(inputs, clusters=2, draw=draw, pairs=False, epochs=8)(epoch)):
            assert len(set(rows.tolist())) == len(rows)
            few = int((rows < 7).sum())
            assert few in (0, 7)
            drawn += few == 7
            if draw == "uniform":
                assert len(rows) == 32
    assert drawn >= 8 // (1 + (draw == "uniform"))


def test_drawing_clusters_evenly_visits_queries_of_small_ones_more_often(topics, plan_inputs):
    small, _ = topics(1, 40, 0.01)
    large, _ = topics(1, 360, 0.01, seed=2)
    inputs = plan_inputs(400, vectors=lambda: np.concatenate([small, large]))
    for draw, share in (("uniform", 0.5), ("size", 0.1)):
        visit = opened(inputs, clusters=2, draw=draw, pairs=False, size=20, epochs=60)
        drawn = np.concatenate([visit(epoch).query_V for epoch in range(60)])
        assert (drawn < 40).mean() == pytest.approx(share, abs=0.05)


def test_a_hard_pair_is_drawn_once_in_three_where_at_random_it_would_be_one_in_twenty(scored_pairs):
    """95 negatives with margins from 8 to 9, five from 1 to 2: three of ten bins have something in them."""
    margins = np.r_[np.linspace(8, 9, 95), np.linspace(1, 1.7, 5)]
    pairs = scored_pairs([(0, 0, 1 + at, float(margin)) for at, margin in enumerate(margins)])
    binned = bin_margins(pairs, 10)
    assert len(np.unique(binned.bin_P)) == 3
    keys = lots(np.arange(20_000, dtype=np.uint64), 1, "test")
    documents = lots(np.arange(101, dtype=np.uint64), 2, "documents")
    drawn, chance = draw_pairs(binned, np.zeros(20_000, dtype=np.int64), keys, documents)
    hard = pairs.margin_P[drawn] < 2
    assert hard.mean() == pytest.approx(1 / 3, abs=0.012)
    assert np.allclose(chance[hard], 1 / 15)
    assert len(np.unique(drawn[hard])) == 5


def test_margins_that_are_all_equal_are_one_bin(scored_pairs, plan_inputs):
    """D11: a step of zero between bins ends the authors' loader."""
    pairs = scored_pairs([(0, 0, 2, 4.0), (0, 0, 3, 4.0), (1, 1, 2, 4.0)])
    assert bin_margins(pairs, 10).bin_P.tolist() == [0, 0, 0]
    assert bin_margins(pairs, 10, equal_counts=True).bin_P.tolist() == [0, 0, 0]
    inputs = plan_inputs(2, documents=4, vectors=lambda: np.eye(2, dtype=np.float32), pairs=lambda _by: pairs)
    visits = opened(inputs, clusters=1)(0)
    assert sorted(visits.query_V.tolist()) == [0, 1]


def test_a_query_with_one_pair_or_none_is_not_dropped(scored_pairs, plan_inputs):
    pairs = scored_pairs([(0, 0, 3, 4.0)])
    inputs = plan_inputs(
        3,
        documents=6,
        negatives=[[3], [4, 5], []],
        vectors=lambda: np.eye(3, dtype=np.float32),
        pairs=lambda _by: pairs,
    )
    visits = opened(inputs, clusters=1)(0)
    chosen = {
        query: visits.negatives.take(np.array([at]))[1].tolist() for at, query in enumerate(visits.query_V.tolist())
    }
    assert chosen == {0: [3], 1: [4, 5], 2: []}
    assert visits.notes == {"visits_without_a_scored_pair": 2}


def test_equal_width_bins_follow_an_outlier_and_equal_counts_do_not(scored_pairs):
    pairs = scored_pairs([(0, 0, 1 + at, float(margin)) for at, margin in enumerate([1, 2, 3, 4, 1000])])
    assert bin_margins(pairs, 5).bin_P.tolist() == [0, 0, 0, 0, 4]
    assert bin_margins(pairs, 5, equal_counts=True).bin_P.tolist() == [0, 1, 2, 3, 4]


def test_the_order_of_rows_does_not_matter(world):
    inputs, _ = world
    there = opened(inputs, clusters=20)(1)
    order = np.random.default_rng(3).permutation(1000)
    mixed = replace(
        inputs,
        query_ids=[inputs.query_ids[row] for row in order],
        keys_Q=inputs.keys_Q[order],
        vectors=lambda: inputs.vectors()[order],
    )
    back = opened(mixed, clusters=20, pairs=False)(1)
    assert [mixed.query_ids[row] for row in back.query_V] == [inputs.query_ids[row] for row in there.query_V]
    assert back.batch_V.tolist() == there.batch_V.tolist()
