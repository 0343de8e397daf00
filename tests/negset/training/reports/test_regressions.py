import numpy as np
import pytest

from negset.training.reports.groups import QueryGroup
from negset.training.reports.regressions import compare_groups, regressions

A, B, C = [tuple(f"{name}{place:03}" for place in range(40)) for name in "abc"]
GROUPS = [QueryGroup("domain", "A", A), QueryGroup("domain", "B", B), QueryGroup("query length", "C", C)]


@pytest.fixture
def per_query(measured):
    """A gains .2 on each query, B loses .1 on most, C changes by noise around 0."""
    chance = np.random.default_rng(3)
    changes = {name: (0.4, 0.6) for name in A}
    changes |= {name: (0.5, 0.5 if place % 4 == 0 else 0.4) for place, name in enumerate(B)}
    changes |= {name: (0.5, 0.5 + chance.choice([-0.2, 0.2])) for name in C}
    return measured(changes)


def test_the_group_that_fell_is_listed_though_the_mean_rose(per_query):
    changes = compare_groups(per_query, GROUPS)
    everything = (per_query["ndcg_at_10_after"] - per_query["ndcg_at_10_before"]).mean()
    assert everything > 0
    assert [one.name for one in regressions(changes)] == ["B"]
    by_name = {one.name: one for one in changes}
    assert by_name["B"].change.difference.mean == pytest.approx(-0.075)
    assert by_name["B"].change.real
    assert by_name["A"].change.difference.low == pytest.approx(0.2)
    assert not by_name["C"].change.real


def test_intervals_are_paired(measured):
    """Queries differ widely and all gain the same: unpaired resampling would give a wide interval."""
    base = np.linspace(0, 0.9, 40)
    per_query = measured({name: (value, value + 0.01) for name, value in zip(A, base, strict=True)})
    found = compare_groups(per_query, GROUPS[:1])[0]
    assert found.before.high - found.before.low > 0.1
    assert found.change.difference.high - found.change.difference.low < 1e-9


def test_queries_that_were_not_measured_and_empty_groups_are_left_out(per_query):
    groups = [QueryGroup("domain", "A", (*A[:5], "unknown")), QueryGroup("domain", "D", ("nobody",))]
    changes = compare_groups(per_query, groups)
    assert [(one.name, one.queries) for one in changes] == [("A", 5)]


def test_the_order_of_queries_does_not_matter(per_query):
    assert compare_groups(per_query.reverse(), GROUPS) == compare_groups(per_query, GROUPS)


def test_holm_corrects_within_a_kind(measured):
    """The same small loss is real by itself and not among twenty groups of the kind that did not change."""
    names = [f"q{place:04}" for place in range(20 * 30)]
    chance = np.random.default_rng(5)
    drawn = chance.normal(size=30)
    losses = 0.05 * (drawn - drawn.mean()) / drawn.std() - 0.021  # 2.3 standard errors below 0
    lost = {name: (0.5, 0.5 + value) for name, value in zip(names[:30], losses, strict=True)}
    still = {name: (0.5, 0.5 + value) for name, value in zip(names[30:], chance.normal(0, 0.05, 570), strict=True)}
    per_query = measured(lost | still)
    groups = [QueryGroup("domain", f"{n:02}", tuple(names[30 * n : 30 * n + 30])) for n in range(20)]
    alone, among = compare_groups(per_query, groups[:1])[0], compare_groups(per_query, groups)[0]
    assert alone.change.difference == among.change.difference
    assert alone.change.real
    assert not among.change.real
