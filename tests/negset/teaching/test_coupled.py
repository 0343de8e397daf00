from functools import cache

import numpy as np
import pytest

from negset.errors import ContractError
from negset.teaching.coupled import Triples, coupled_weights, fit_coupled, fit_pairwise

QUERIES, DOCUMENTS, SEEDS = 300, 60, range(8)


@cache
def world(seed, *, biased=True):
    """World W3: documents of a lexical and a semantic feature, labelled only where the lexical one is high.

    Gives features, true relevance, and triples of a labelled positive and each unlabelled of the first 20 by meaning.
    """
    chance = np.random.default_rng(seed)
    lexical_QN, semantic_QN = chance.standard_normal((2, QUERIES, DOCUMENTS))
    relevant_QN = semantic_QN + 0.3 * chance.standard_normal((QUERIES, DOCUMENTS)) > 1.3
    labelled_QN = relevant_QN & (first(lexical_QN, 12) if biased else True)
    mined_QN = first(semantic_QN, 20) & ~labelled_QN
    features_NF = np.stack([lexical_QN.ravel(), semantic_QN.ravel()], axis=1)
    return (
        features_NF,
        relevant_QN.ravel(),
        triples(labelled_QN, mined_QN),
        (relevant_QN & mined_QN).sum() / mined_QN.sum(),
    )


def first(score_QN, count):
    return np.argsort(np.argsort(-score_QN, axis=1), axis=1) < count


def triples(labelled_QN, mined_QN):
    positive, negative = [], []
    for query in range(QUERIES):
        known, others = (np.flatnonzero(flag_QN[query]) + query * DOCUMENTS for flag_QN in (labelled_QN, mined_QN))
        positive.append(np.repeat(known, len(others)))
        negative.append(np.tile(others, len(known)))
    return Triples(np.concatenate(positive), np.concatenate(negative))


def auc(score_N, relevant_N):
    rank_N = np.argsort(np.argsort(score_N)) + 1
    right = relevant_N.sum()
    return (rank_N[relevant_N].sum() - right * (right + 1) / 2) / (right * (len(relevant_N) - right))


def gaps(features_NF, found):
    return features_NF[found.positive] - features_NF[found.negative]


def gains(smoothing, *, biased=True):
    """Give for each seed how much the coupled weights add to the AUC against true relevance."""
    added = []
    for seed in SEEDS:
        features_NF, relevant_N, found, _ = world(seed, biased=biased)
        plain_F = fit_pairwise(gaps(features_NF, found), np.ones(len(found.positive)))
        coupled = fit_coupled(features_NF, features_NF[:, :1], found, smoothing=smoothing)
        added.append(auc(features_NF @ coupled.relevance_F, relevant_N) - auc(features_NF @ plain_F, relevant_N))
    return np.array(added)


def test_the_identity_and_the_clip():
    scores = np.array([-50.0, 0.0, 6.0])
    plain = 1 / (1 - 1 / (1 + np.exp(-scores)))
    assert coupled_weights(scores, 1.0) == pytest.approx(plain)
    assert coupled_weights(scores, 1.0)[2] == pytest.approx(404, abs=1)
    assert coupled_weights(scores, 10.0)[2] == pytest.approx(2.8, abs=0.03)
    assert coupled_weights(np.array([1e300]), 1.0) == pytest.approx(1 + np.exp(8))


def test_the_world_hides_a_quarter_of_its_negatives():
    assert np.mean([world(seed)[3] for seed in SEEDS]) == pytest.approx(0.26, abs=0.01)


@pytest.mark.parametrize(("smoothing", "least"), [(1.0, 0.01), (2.0, 0.01), (10.0, 0.003)])
def test_coupled_weights_correct_the_bias_of_the_pool(smoothing, least):
    added = gains(smoothing)
    assert (added > 0).all()
    assert added.mean() > least


def test_the_wrong_sign_loses():
    for seed in SEEDS:
        features_NF, relevant_N, found, _ = world(seed)
        coupled = fit_coupled(features_NF, features_NF[:, :1], found)
        gaps_TF = gaps(features_NF, found)
        trust_T = coupled_weights(features_NF[found.negative, :1] @ coupled.selection_G, 2.0)
        wrong_F = fit_pairwise(gaps_TF, 1 / trust_T)  # 1 - p instead of 1 / (1 - p)
        plain_F = fit_pairwise(gaps_TF, np.ones(len(found.positive)))
        assert auc(features_NF @ wrong_F, relevant_N) < auc(features_NF @ plain_F, relevant_N) - 0.02


def test_where_all_is_labelled_nothing_is_corrected():
    assert np.abs(gains(2.0, biased=False)).max() < 0.005


def test_the_solution_is_a_minimum_and_weights_move_it():
    features_NF, _, found, _ = world(0)
    gaps_TF = gaps(features_NF, found)[:2000]
    weights_T = np.linspace(0.5, 2.0, len(gaps_TF))
    found_F = fit_pairwise(gaps_TF, weights_T)

    def loss(at_F):
        weighed = weights_T / weights_T.mean() * np.logaddexp(0, -(gaps_TF @ at_F))
        return weighed.mean() + 1e-3 / 2 * (at_F @ at_F)

    for step_F in 1e-3 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
        assert loss(found_F + step_F) > loss(found_F)
    assert np.abs(found_F - fit_pairwise(gaps_TF, np.ones(len(gaps_TF)))).max() > 1e-3


def test_the_order_of_triples_does_not_matter():
    features_NF, _, found, _ = world(0)
    order = np.random.default_rng(1).permutation(len(found.positive))
    shuffled = Triples(found.positive[order], found.negative[order])
    one, other = (fit_coupled(features_NF, features_NF[:, :1], rows) for rows in (found, shuffled))
    assert one.relevance_F == pytest.approx(other.relevance_F, abs=1e-6)


def test_nothing_about_the_pool_is_refused():
    features_NF, _, found, _ = world(0)
    with pytest.raises(ContractError, match="selection cannot be learned"):
        fit_coupled(features_NF, np.ones((len(features_NF), 1)), found)
    with pytest.raises(ContractError, match="selection cannot be learned"):
        fit_coupled(features_NF, np.empty((len(features_NF), 0)), found)
    with pytest.raises(ContractError, match="no triple"):
        fit_coupled(features_NF, features_NF, Triples(np.zeros(0, np.int64), np.zeros(0, np.int64)))
