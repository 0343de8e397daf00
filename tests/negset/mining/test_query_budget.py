import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.errors import ConfigError, ContractError
from negset.lots import id_keys
from negset.mining.query_budget import share_budget, spend_budget
from negset.mining.query_clusters import cluster_rows


def shares(budget, sizes, weights):
    return share_budget(budget, np.array(sizes), np.array(weights, dtype=float)).tolist()


def keys(count):
    return id_keys([f"q{at}" for at in range(count)])


def test_no_unit_is_lost_and_no_cluster_gets_more_than_it_has():
    # Rounded down and cut at the size, as in the authors' code, only 100 + 50 + 50 of the 1000 would be used.
    assert shares(1000, [100, 5000, 5000], [0.9, 0.05, 0.05]) == [100, 450, 450]
    assert (
        sum(min(int(1000 * share), size) for share, size in zip((0.9, 0.05, 0.05), (100, 5000, 5000), strict=True))
        == 200
    )


def test_largest_remainders_get_what_rounding_leaves():
    assert shares(10, [99, 99, 99], [1 / 3, 1 / 3, 1 / 3]) == [4, 3, 3]
    assert shares(10, [99, 99, 99], [3, 1, 0]) == [8, 2, 0]
    assert shares(10, [99, 99, 99], [1, 1, 2.2]) == [3, 2, 5]  # of equals the first


def test_without_any_degradation_shares_follow_the_sizes():
    assert shares(6, [10, 20, 30], [0, 0, 0]) == [1, 2, 3]


def test_what_the_degraded_cannot_take_goes_to_the_others():
    assert shares(20, [5, 20, 30], [1, 0, 0]) == [5, 6, 9]


def test_a_little_degradation_is_worth_one_query():
    assert shares(10, [50, 50], [1000, 1]) == [9, 1]
    assert shares(1, [50, 50], [1000, 1]) == [1, 0]


@settings(max_examples=200, deadline=None)
@given(
    data=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100)), min_size=1, max_size=8),
    budget=st.integers(0, 120),
)
def test_shares_add_up_within_the_sizes(data, budget):
    sizes, weights = zip(*data, strict=True)
    found = shares(budget, sizes, weights)
    assert sum(found) == min(budget, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(found, sizes, strict=True))
    weighted = [size > 0 and weight > 0 for size, weight in data]
    if sum(weighted) <= budget:
        assert all(share for share, asks in zip(found, weighted, strict=True) if asks)


def test_the_budget_goes_where_the_damage_is_until_it_is_exhausted():
    chance = np.random.default_rng(0)
    blob_Q = np.repeat([0, 1, 2], [500, 50, 50])
    points_QD = 20 * np.eye(3)[blob_Q] + chance.standard_normal((600, 3))
    cluster_Q = cluster_rows(points_QD, keys(600), 3)
    lost_Q = np.where(blob_Q == 1, 0.5, 0.0)
    kept_Q = spend_budget(40, cluster_Q, lost_Q, keys(600)).kept_Q
    assert np.bincount(blob_Q[kept_Q], minlength=3).tolist() == [0, 40, 0]
    more = spend_budget(160, cluster_Q, lost_Q, keys(600))
    assert np.bincount(blob_Q[more.kept_Q], minlength=3).tolist() == [100, 50, 10]
    assert sorted(more.size_C.tolist()) == [50, 50, 500]
    assert more.budget_C.sum() == 160


def test_in_a_cluster_the_most_degraded_for_their_cost_are_kept():
    cluster_Q = np.zeros(4, dtype=int)
    lost_Q = np.array([0.9, 0.8, 0.2, 0.1])
    assert spend_budget(2, cluster_Q, lost_Q, keys(4)).kept_Q.tolist() == [True, True, False, False]
    cost_Q = np.array([100.0, 10.0, 1.0, 1.0])
    assert spend_budget(2, cluster_Q, lost_Q, keys(4), cost_Q).kept_Q.tolist() == [False, False, True, True]


def test_what_got_better_counts_as_nothing():
    found = spend_budget(10, np.repeat([0, 1], 20), np.repeat([-5.0, 0.1], 20), keys(40))
    assert found.budget_C.tolist() == [0, 10]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), budget=st.integers(0, 40))
def test_the_order_of_rows_does_not_matter(seed, budget):
    chance = np.random.default_rng(seed)
    cluster_Q, lost_Q = chance.integers(0, 4, 30), np.round(chance.random(30), 1)
    order = chance.permutation(30)
    found = spend_budget(budget, cluster_Q, lost_Q, keys(30))
    other = spend_budget(budget, cluster_Q[order], lost_Q[order], keys(30)[order])
    assert found.kept_Q.sum() == min(budget, 30)
    assert other.kept_Q.tolist() == found.kept_Q[order].tolist()


def test_nothing_to_keep_and_nothing_to_spend():
    none = spend_budget(5, np.zeros(0, dtype=int), np.zeros(0), keys(0))
    assert none.kept_Q.tolist() == []
    assert spend_budget(0, np.zeros(3, dtype=int), np.ones(3), keys(3)).kept_Q.tolist() == [False] * 3


def test_wrong_numbers_are_named():
    with pytest.raises(ContractError, match="1 queries have no usable degradation, row 1 among them: nan"):
        spend_budget(1, np.zeros(2, dtype=int), np.array([0.5, np.nan]), keys(2))
    with pytest.raises(ContractError, match="no usable cost"):
        spend_budget(1, np.zeros(2, dtype=int), np.ones(2), keys(2), np.array([1.0, 0.0]))
    with pytest.raises(ConfigError, match="a budget of -1"):
        spend_budget(-1, np.zeros(2, dtype=int), np.ones(2), keys(2))


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 25), st.booleans())
def test_what_is_kept_and_skipped_does_not_depend_on_the_order_of_rows(chance, budget, conflicts):
    """The order is by need, then by key. The wrong version goes by rows, and skips whoever comes second."""
    count = 20
    cluster_Q = np.array([chance.randrange(3) for _ in range(count)])
    need_Q = np.array([chance.choice([0.0, 0.5, 0.5, 1.0]) for _ in range(count)])
    concepts = [chance.sample("abcdef", 2) for _ in range(count)]
    turned = np.array(chance.sample(range(count), count))

    def spent(order):
        said = [concepts[row] for row in order] if conflicts else None
        found = spend_budget(budget, cluster_Q[order], need_Q[order], keys(count)[order], None, said)
        return set(order[found.kept_Q].tolist()), set(order[found.conflict_Q].tolist()), found.budget_C.sum()

    kept, skipped, shared = spent(np.arange(count))
    assert spent(turned) == (kept, skipped, shared)
    assert not kept & skipped
    assert len(kept) == shared if not conflicts else len(kept) <= shared


def test_a_skipped_query_leaves_its_place_to_the_next_of_its_cluster():
    need_Q = np.array([1.0, 0.9, 0.8, 0.7])
    concepts = [["a"], ["b"], ["a", "b"], ["c"]]
    found = spend_budget(3, np.zeros(4, int), need_Q, keys(4), None, concepts)
    assert found.kept_Q.tolist() == [True, True, False, True]
    assert found.conflict_Q.tolist() == [False, False, True, False]
    full = spend_budget(2, np.zeros(4, int), need_Q, keys(4), None, concepts)
    assert not full.conflict_Q.any()  # nobody asked for it: its reason is the budget


def test_contradictions_count_across_clusters():
    found = spend_budget(4, np.array([0, 1, 0, 1]), np.array([1.0, 0.9, 0.8, 0.7]), keys(4), None,
                         [["a"], ["b"], ["a", "b"], ["a", "b"]])  # fmt: skip
    assert found.kept_Q.tolist() == [True, True, False, False]
    assert found.conflict_Q.tolist() == [False, False, True, True]
