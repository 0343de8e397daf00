"""Which composition teaches best: found where it is planted, and no difference where there is none."""

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.probing.ablation import ablate, report_ablation
from negset.probing.adapter import AdapterProbe
from negset.probing.compositions import compose
from negset.probing.folds import Fold
from negset.training.examples import Groups

SEEDS = (1, 2, 3)


def ranked_of(world):
    """Rank all documents but the positives of each query by cosine, hardest first."""
    scores_QN = world.probe.queries_QD @ world.probe.documents_ND.T
    lists = []
    for row in range(len(scores_QN)):
        order = np.argsort(-scores_QN[row], kind="stable")
        own = world.collection.positives.take(np.array([row]))[1]
        lists.append(order[~np.isin(order, own)][:24])
    return Groups((24 * np.arange(len(lists) + 1)).astype(np.int64), np.concatenate(lists).astype(np.int64))


def folds_of(world):
    held = np.flatnonzero((world.collection.queries["split"] == "test").to_numpy())
    trained = np.flatnonzero((world.collection.queries["split"] == "train").to_numpy())
    return [Fold(trained, held)], trained


def ablated(world, seeds=SEEDS):
    ranked, (folds, trained) = ranked_of(world), folds_of(world)
    return ablate(
        world.probe, world.collection, folds, lambda seed: compose(world.collection, ranked, trained, 4, seed), seeds
    )


def test_where_hard_ones_are_false_they_come_last(twin_world):
    """Of the hardest negatives, most are relevant and unlabelled."""
    ranked, (_, trained) = ranked_of(twin_world), folds_of(twin_world)
    hard = compose(twin_world.collection, ranked, trained, 4, 1)["only-hard"]
    place, documents = hard.negatives.take(trained)
    topic = twin_world.collection.positives.rows[twin_world.collection.positives.offsets[trained]] // 5
    assert (documents // 5 == topic[place]).mean() > 0.3
    report = ablated(twin_world)
    assert report.rows[-1].name == "only-hard"
    assert report.rows[-1].below_best.real
    assert report.use != "only-hard"
    assert report.budget == 4 * len(trained)


def test_where_hard_ones_are_true_and_needed_they_come_first(clean_world):
    """A third of the mixed ones are hard, which is nearly as good: too few queries to tell the two apart."""
    report = ablated(clean_world)
    assert [row.name for row in report.rows] == ["only-hard", "mixed", "random", "only-easy"]
    assert [row.below_best.real for row in report.rows[2:]] == [True, True]
    assert report.use is None


def test_where_composition_is_irrelevant_no_difference_is_found(collection_of):
    """All vectors are noise around the queries' positives: every document is as far from a query as any other."""
    chance = np.random.default_rng(2)
    documents_ND = chance.normal(size=(120, 24)).astype(np.float32)
    queries_QD = (documents_ND[np.arange(240) % 120] + 1.5 * chance.normal(size=(240, 24))).astype(np.float32)
    documents_ND /= np.linalg.norm(documents_ND, axis=1, keepdims=True)
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    splits = ["test" if row % 120 < 40 else "train" for row in range(240)]
    collection = collection_of([[row % 120] for row in range(240)], splits=splits, documents=120)
    # "Hard" and "easy" are names alone: candidates stand in an order drawn by lot.
    lists = [chance.permutation(np.delete(np.arange(120), row % 120))[:24] for row in range(240)]
    ranked = Groups((24 * np.arange(241)).astype(np.int64), np.concatenate(lists).astype(np.int64))
    trained = np.flatnonzero(np.array(splits) == "train")
    fold = Fold(trained, np.flatnonzero(np.array(splits) == "test"))
    probe = AdapterProbe(queries_QD, documents_ND)
    report = ablate(probe, collection, [fold], lambda seed: compose(collection, ranked, trained, 4, seed), (1, 2, 3, 4))
    assert report.use is None


def test_the_luck_of_a_seed_is_no_difference():
    """Each seed of each composition shifts all its queries: over queries alone every difference would be real."""
    chance = np.random.default_rng(7)
    decided = 0
    for trial in range(20):
        easy = chance.normal(size=(1, 300)) * 0.05
        values = {
            name: 0.5 + easy + 0.01 * chance.normal(size=(3, 1)) + 0.001 * chance.normal(size=(3, 300))
            for name in ("random", "only-hard", "only-easy", "mixed")
        }
        decided += report_ablation(values, 1, trial).use is not None
    assert decided <= 2


def test_the_best_is_used_only_if_it_is_above_every_other():
    chance = np.random.default_rng(1)
    base = chance.uniform(0.3, 0.7, size=(1, 200))
    values = {
        "random": base - 0.05 + chance.normal(0, 0.01, (3, 200)),
        "only-hard": base + chance.normal(0, 0.01, (3, 200)),
        "mixed": base + 0.0001 + chance.normal(0, 0.01, (3, 200)),
    }
    report = report_ablation(values, 7, 1)
    assert report.use is None
    by_name = {row.name: row for row in report.rows}
    assert by_name["random"].below_best.real
    del values["mixed"]
    clear = report_ablation(values, 7, 1)
    assert (clear.use, clear.budget, clear.seeds, clear.queries) == ("only-hard", 7, 3, 200)
    assert clear.rows[0].below_best is None
    assert clear.rows[0].sd == pytest.approx(values["only-hard"].mean(axis=1).std(ddof=1))


def test_fewer_than_three_seeds_and_unequal_sizes_are_refused(clean_world):
    with pytest.raises(ConfigError, match="2 seeds cannot tell"):
        ablated(clean_world, (1, 2))
    ranked, (folds, trained) = ranked_of(clean_world), folds_of(clean_world)

    def unequal(seed):
        sets = compose(clean_world.collection, ranked, trained, 4, seed)
        return {**sets, "only-hard": compose(clean_world.collection, ranked, trained, 8, seed)["only-hard"]}

    with pytest.raises(ConfigError, match="only sets of one size"):
        ablate(clean_world.probe, clean_world.collection, folds, unequal, SEEDS)
