import polars as pl
import pytest

from negset.probing.bootstrap import Difference, Interval
from negset.training.reports.regressions import GroupChange


def make_change(name, before, after, queries=500, kind="domain"):
    """Give a group whose means went from `before` to `after`."""
    flat = Interval(after - before, after - before, after - before)
    return GroupChange(
        kind, name, queries, Interval(before, before, before), Interval(after, after, after), Difference(flat, 0.5, 0.5)
    )


def make_measured(changes):
    """Give the measures before and after of queries: id to (before, after)."""
    return pl.DataFrame(
        [(name, before, after) for name, (before, after) in changes.items()],
        schema={"query_id": pl.String, "ndcg_at_10_before": pl.Float64, "ndcg_at_10_after": pl.Float64},
        orient="row",
    )


@pytest.fixture
def change():
    """Give `make_change`."""
    return make_change


@pytest.fixture
def measured():
    """Give `make_measured`."""
    return make_measured
