import numpy as np
import pytest

from negset.errors import ConfigError
from negset.probing.compositions import NAMES, composable, compose, require_same_size
from negset.training.examples import Groups


@pytest.fixture
def ranked_world(collection_of):
    """Twenty queries, hardest candidates first: query 3 has 5 of them, all others 10."""
    collection = collection_of([[0]] * 20, documents=60)
    chance = np.random.default_rng(1)
    lists = [1 + chance.permutation(40)[: 5 if row == 3 else 10] for row in range(20)]
    sizes = np.array([len(one) for one in lists])
    ranked = Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), np.concatenate(lists).astype(np.int64))
    return collection, ranked, lists


def documents(chosen, row):
    return chosen.negatives.take(np.array([row]))[1].tolist()


def test_every_composition_has_the_same_queries_and_rows(ranked_world):
    collection, ranked, lists = ranked_world
    rows = composable(ranked, np.arange(20), 4)
    assert 3 not in rows
    assert len(rows) == 19
    sets = compose(collection, ranked, rows, 4, seed=1)
    assert tuple(sets) == NAMES
    assert require_same_size(sets) == 19 * 4
    for row in (0, 19):
        assert documents(sets["only-hard"], row) == sorted(lists[row][:4].tolist())
        assert documents(sets["only-easy"], row) == sorted(lists[row][-4:].tolist())
        assert len(set(documents(sets["random"], row))) == 4
        assert 0 not in documents(sets["random"], row)  # a known positive
    assert documents(sets["only-hard"], 3) == []


def test_mixed_takes_of_all_three_and_no_document_twice(ranked_world):
    collection, ranked, lists = ranked_world
    rows = composable(ranked, np.arange(20), 3)
    sets = compose(collection, ranked, rows, 3, seed=1)
    for row in rows.tolist():
        mixed = documents(sets["mixed"], row)
        assert len(set(mixed)) == 3
        assert set(mixed) & set(lists[row][:3].tolist())
        assert set(mixed) & set(lists[row][-3:].tolist())


def test_random_ones_change_with_the_seed_and_hard_ones_do_not(ranked_world):
    collection, ranked, _ = ranked_world
    rows = composable(ranked, np.arange(20), 4)
    one, other = (compose(collection, ranked, rows, 4, seed) for seed in (1, 2))
    again = compose(collection, ranked, rows[::-1].copy(), 4, 1)
    for name in NAMES:
        same = np.array_equal(one[name].negatives.rows, other[name].negatives.rows)
        assert same is (name in ("only-hard", "only-easy"))
        assert np.array_equal(one[name].negatives.rows, again[name].negatives.rows)


def test_sets_of_unequal_sizes_are_refused(ranked_world):
    """A larger set trains longer. As many rows in all are not enough: each query must have as many."""
    collection, ranked, _ = ranked_world
    rows = composable(ranked, np.arange(20), 4)
    four, two = compose(collection, ranked, rows, 4, 1), compose(collection, ranked, rows, 2, 1)
    with pytest.raises(ConfigError, match="'only-hard' has 38 rows and 'random' 76"):
        require_same_size({"random": four["random"], "only-hard": two["only-hard"]})
    half = compose(collection, ranked, rows[: len(rows) // 2 * 2 : 2], 4, 1)
    moved = compose(collection, ranked, rows[1 : len(rows) // 2 * 2 : 2], 4, 1)
    with pytest.raises(ConfigError, match="other numbers for some queries"):
        require_same_size({"random": half["random"], "only-hard": moved["only-hard"]})


def test_a_query_with_too_few_candidates_is_named(ranked_world, collection_of):
    collection, ranked, _ = ranked_world
    with pytest.raises(ConfigError, match="'q0003', have fewer than 8"):
        compose(collection, ranked, np.arange(20), 4, 1)
    small = collection_of([[0]] * 20, documents=3)
    with pytest.raises(ConfigError, match="corpus is too small"):
        compose(small, Groups(np.arange(0, 41, 2), np.tile([1, 2], 20)), np.arange(20), 1, 1)
