"""Runs keep to their folds; their measures are put together query by query."""

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.probing.folds import Fold, cross_folds
from negset.probing.measuring import measure_set, stack_runs
from negset.probing.ranking import Ranked


class Spy:
    """Train nothing and note what would have been trained on."""

    def __init__(self, dimensions=2):
        self.calls = []
        self.dimensions = dimensions

    def untrained(self, rows):
        return np.ones((len(rows), self.dimensions), np.float32), np.ones((10, self.dimensions), np.float32)

    def train(self, collection, chosen, trained, held_out, seed):
        self.calls.append((trained.tolist(), held_out.tolist(), seed))
        return self.untrained(held_out)


def test_no_held_out_query_is_trained_on_and_none_without_negatives(collection_of, set_of):
    collection = collection_of([[row % 5] for row in range(60)])
    chosen = set_of(collection, "a", {row: [6, 7] for row in range(60) if row % 4})
    folds = cross_folds(collection, np.arange(60), 3, limit=99, seed=1, positives_apart=False)
    spy = Spy()
    found = measure_set(spy, collection, chosen, folds, [4, 5, 6])
    assert [seed for _, _, seed in spy.calls] == [4, 5, 6]
    for (trained, held_out, _), fold in zip(spy.calls, folds, strict=True):
        assert not set(trained) & set(held_out)
        assert held_out == fold.held_out.tolist()
        assert trained == [row for row in fold.trained.tolist() if row % 4]
    assert found.rows.tolist() == list(range(60))
    assert found.trained == round(np.mean([len(trained) for trained, _, _ in spy.calls]))


def test_a_set_that_teaches_nothing_is_named(collection_of, set_of):
    collection = collection_of([[0], [1]])
    chosen = set_of(collection, "mine", {1: [5]})
    with pytest.raises(ConfigError, match="mine has no query to train a probe on: none of 1 has a negative"):
        measure_set(Spy(), collection, chosen, [Fold(np.array([0]), np.array([1]))], [1])


def test_runs_over_other_queries_are_averaged_where_they_measured():
    values = [np.array([0.2, 0.4]), np.array([0.8, 1.0])]
    runs = [
        Ranked(np.array(rows), dict.fromkeys(("ndcg_at_10", "mrr_at_10", "recall_at_100"), one))
        for rows, one in zip(([1, 5], [5, 9]), values, strict=True)
    ]
    found = stack_runs("a", runs, 3)
    assert found.rows.tolist() == [1, 5, 9]
    assert found.per_query("ndcg_at_10").tolist() == pytest.approx([0.2, 0.6, 1.0])
    assert np.isnan(found.spread("ndcg_at_10"))  # another part each time: that is not the luck of seeds


def test_spread_is_that_of_the_means_of_seeds():
    runs = [
        Ranked(np.array([0, 1]), dict.fromkeys(("ndcg_at_10", "mrr_at_10", "recall_at_100"), np.array([one, 0.5])))
        for one in (0.1, 0.3)
    ]
    assert stack_runs("a", runs, 3).spread("ndcg_at_10") == pytest.approx(np.std([0.3, 0.4], ddof=1))
