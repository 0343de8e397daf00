import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError
from negset.transfer.order import BUCKETS, group_order, hardness
from negset.transfer.report import report_order
from negset.transfer.world import join_members


def test_hardness_is_how_near_the_negatives_are(make_member):
    world = join_members([make_member("set", {"a": 0})])
    row = np.array([5])
    _, negatives = world.chosen.negatives.take(row)
    _, positives = world.chosen.positives.take(row)
    query = world.queries_QD[5]
    expected = (world.documents_ND[negatives] @ query).mean() - (world.documents_ND[positives] @ query).mean()
    assert hardness(world)[5] == pytest.approx(expected, abs=1e-6)


def test_neighbours_that_pull_alike_are_put_together(make_member):
    """The first half of the order is domain a, the second domain c, whose gradients conflict."""
    world = join_members([make_member("set", {"a": 0, "c": 1})])
    rows = world.chosen.usable(np.arange(world.collection.queries.height))
    values = np.arange(len(rows), dtype=float)
    groups = group_order(world, rows, values, 2, 1)
    assert [group.buckets for group in groups] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    # 384 queries in ten buckets: the first four have one more.
    assert [group.queries for group in groups] == [194, 190]
    assert (groups[0].low, groups[0].high, groups[1].low) == (0.0, 193.0, 194.0)


def test_queries_without_a_value_are_left_out_and_too_few_refused(make_member):
    world = join_members([make_member("set", {"a": 0})])
    values = np.full(60, np.nan)
    values[: BUCKETS - 1] = 1.0
    with pytest.raises(ConfigError, match=f"{BUCKETS - 1} training queries have a value"):
        group_order(world, np.arange(60), values, 2, 1)
    values[:20] = np.arange(20)
    assert sum(group.queries for group in group_order(world, np.arange(60), values, 2, 1)) == 20


def test_an_order_by_time_and_by_hardness_of_the_training_queries(make_member):
    member = make_member("set", {"a": 0, "c": 1})
    start = datetime(2024, 1, 1, tzinfo=UTC)
    days = pl.Series([start + timedelta(days=row) for row in range(len(member.asked_at))])
    dated = dataclasses.replace(member, asked_at=days.cast(pl.Datetime("us", "UTC")))
    groups = report_order([dated], "time", "test", 2, 1)
    assert [group.buckets for group in groups] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert sum(group.queries for group in groups) == 256  # those of the target split are not ordered
    assert groups[0].low > start.timestamp()  # the first queries are held out
    hard = report_order([member], "hardness", "test", 3, 1)
    assert [group.low for group in hard] == sorted(group.low for group in hard)
    with pytest.raises(ConfigError, match="0 training queries have a value"):
        report_order([member], "time", "test", 2, 1)
