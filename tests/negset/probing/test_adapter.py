"""The adapter learns what its set teaches, the same each time."""

import numpy as np
import pytest
import torch

from negset.probing.adapter import TEMPERATURE, own_negatives_loss
from negset.probing.folds import hold_out_split
from negset.probing.measuring import measure_set, measure_untrained, one_thread


def _fold(world):
    return hold_out_split(world.collection, "test", trained_limit=9999, held_out_limit=9999, seed=1)


def _order(world):
    fold = _fold(world)
    means = {
        name: measure_set(world.probe, world.collection, chosen, [fold] * 2, [1, 2]).mean("ndcg_at_10")
        for name, chosen in world.sets.items()
    }
    return means, measure_untrained(world.probe, world.collection, [fold]).mean("ndcg_at_10")


def test_with_complete_labels_the_hardest_negatives_win(clean_world):
    means, before = _order(clean_world)
    assert means["hard"] > means["aware"] + 0.02
    assert means["aware"] > means["random"] + 0.02
    assert means["random"] > before + 0.02


def test_with_unlabelled_positives_the_hardest_lose_to_random_and_positive_aware_ones_win(twin_world):
    means, before = _order(twin_world)
    assert means["hard"] < means["random"] - 0.005
    assert means["hard"] < before - 0.005
    assert means["aware"] > means["random"] + 0.005


def test_loss_by_hand():
    query = torch.tensor([[1.0, 0.0]])
    documents = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [1.0, 0.0]]])
    weights = torch.log(torch.tensor([[2.0, 1.0, 0.0]]))
    expected = np.log(
        1 + 2 * np.exp((0.9 - 1) / TEMPERATURE) + np.exp((0.5 - 1) / TEMPERATURE)
    )  # the last has weight 0: it does not count
    assert float(own_negatives_loss(query, documents, weights)) == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_vectors_whatever_the_threads(clean_world):
    fold, world = _fold(clean_world), clean_world
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(measure_set(world.probe, world.collection, world.sets["hard"], [fold], [7]).values)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert np.array_equal(found[0]["ndcg_at_10"], found[1]["ndcg_at_10"])
    other = measure_set(world.probe, world.collection, world.sets["hard"], [fold], [8]).values
    assert not np.array_equal(found[0]["ndcg_at_10"], other["ndcg_at_10"])


def test_the_frozen_vectors_stay_as_they_are(clean_world):
    fold, probe = _fold(clean_world), clean_world.probe
    before = probe.documents_ND.copy()
    with one_thread():
        probe.train(clean_world.collection, clean_world.sets["hard"], fold.trained[:64], fold.held_out, 1)
    assert np.array_equal(before, probe.documents_ND)
