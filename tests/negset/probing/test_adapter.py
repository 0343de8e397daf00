"""The adapter learns what its set teaches, the same each time."""

import numpy as np
import pytest
import torch

from negset.probing.adapter import EPOCHS, TEMPERATURE, AdapterProbe, own_negatives_loss
from negset.probing.examples import draw_epoch
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


def test_a_training_takes_the_steps_that_were_asked_for(clean_world):
    fold, probe = _fold(clean_world), clean_world.probe
    trained = fold.trained[:70]  # three steps an epoch, the last a short one

    def vectors(steps):
        asked = AdapterProbe(probe.queries_QD, probe.documents_ND, steps)
        with one_thread():
            return asked.train(clean_world.collection, clean_world.sets["hard"], trained, fold.held_out, 1)[0]

    usual = vectors(0)
    assert np.array_equal(vectors(EPOCHS * 3), usual)
    found = [vectors(steps) for steps in (1, 3, 4, EPOCHS * 3 + 1)]
    moved = [float(np.abs(one - probe.queries_QD[fold.held_out]).max()) for one in found]
    assert moved == sorted(moved)
    assert len(set(moved)) == 4


def test_the_gradient_is_that_of_the_loss_at_the_start(clean_world):
    """One small step against it lowers the loss of these very queries."""
    probe, rows = clean_world.probe, _fold(clean_world).trained[:40]
    chosen, collection = clean_world.sets["hard"], clean_world.collection
    gradient = probe.gradient(collection, chosen, rows, 1).reshape(probe.queries_QD.shape[1], -1)

    def loss(matrix):
        drawn = draw_epoch(collection, chosen, rows, 1, 0)
        documents = np.concatenate([drawn.positives_T[:, None], drawn.negatives_TK], axis=1)
        query, document = (
            torch.nn.functional.normalize(torch.from_numpy(vectors) @ torch.from_numpy(matrix), dim=-1)
            for vectors in (probe.queries_QD[drawn.queries_T], probe.documents_ND[documents])
        )
        return float(own_negatives_loss(query, document, torch.from_numpy(drawn.log_weights_TK)))

    start = np.eye(len(gradient), dtype=np.float32)
    assert loss(start - 0.01 * gradient) < loss(start) < loss(start + 0.01 * gradient)
