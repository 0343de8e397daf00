import numpy as np
import pytest

from negset.mining.samplers.mixture import MixtureParams, mixture

SCORES = [0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1]
RANDOM = [None, None, None, None, 1, 2, 3]


def counts(frame, **options):
    drawn = mixture(frame.lazy(), MixtureParams(**options)).collect().drop_nulls("position")
    randoms = drawn["rank_random"].is_not_null().sum()
    return drawn.height - randoms, randoms


@pytest.mark.parametrize(
    ("k", "ratio", "expected"),
    [(4, 0.5, (2, 2)), (5, 0.5, (2, 3)), (4, 0.0, (4, 0)), (3, 1.0, (0, 3)), (4, 0.25, (3, 1))],
)
def test_the_ratio_holds(candidates, k, ratio, expected):
    assert counts(candidates(SCORES, rank_random=RANDOM), k=k, random_ratio=ratio) == expected


def test_one_kind_never_fills_the_gap_of_the_other(candidates):
    assert counts(candidates(SCORES, rank_random=RANDOM), k=8) == (4, 3)
    assert counts(candidates(SCORES), k=4) == (2, 0)


def test_the_hard_half_may_be_the_hardest(candidates):
    frame = candidates(SCORES, rank_random=RANDOM, rejected_by=["margin", *[None] * 6])
    drawn = mixture(frame.lazy(), MixtureParams(k=4, hard="top")).collect()
    assert drawn["position"].to_list()[:4] == [None, 1, 2, None]
    assert drawn["sample_prob"].to_list()[1:3] == [None, None]
    assert drawn.drop_nulls("sample_prob")["sample_prob"].to_list() == [pytest.approx(2 / 3)] * 2


def test_the_hard_half_is_drawn_from_all_by_default(candidates):
    queries = 500
    frame = candidates(
        SCORES * queries,
        query=[query for query in range(queries) for _ in SCORES],
        doc=list(range(7)) * queries,
        rank_random=RANDOM * queries,
    )
    drawn = mixture(frame.lazy(), MixtureParams(k=4)).collect().drop_nulls("position")
    found = dict(drawn["doc"].value_counts().iter_rows())
    assert all(abs(found[doc] - queries / 2) < 56 for doc in range(4))
    assert all(abs(found[doc] - queries * 2 / 3) < 53 for doc in range(4, 7))


STALE_QUERIES, HARD, OTHERS = 20, 10, 100


def stale_world():
    """Features of each query's documents: the positive, hard ones that share its topic, and others.

    The third feature is the positive's and, stronger, that of some others, which no list of hard ones shows.
    """
    chance = np.random.default_rng(0)
    features_QNF = np.zeros((STALE_QUERIES, 1 + HARD + OTHERS, 3))
    features_QNF[:, 0] = 1.0
    features_QNF[:, 1 : 1 + HARD, 0] = 1 + 0.1 * chance.standard_normal((STALE_QUERIES, HARD))
    features_QNF[:, 1 + HARD :, 2] = chance.uniform(0, 3, (STALE_QUERIES, OTHERS))
    return features_QNF


def negatives_of(candidates, features_QNF, ratio):
    """Draw negatives by the rule from the hardest and some random documents, as the first scorer ranks them."""
    rows_Q = [[*range(1, 1 + HARD), *range(1 + HARD, 1 + HARD + OTHERS, 5)] for _ in range(STALE_QUERIES)]
    frame = candidates(
        [float(features_QNF[query, doc, 0]) for query, rows in enumerate(rows_Q) for doc in rows],
        query=[query for query, rows in enumerate(rows_Q) for _ in rows],
        doc=[doc for rows in rows_Q for doc in rows],
        rank_random=[doc if doc > HARD else None for rows in rows_Q for doc in rows],
    )
    drawn = mixture(frame.lazy(), MixtureParams(k=4, random_ratio=ratio)).collect().drop_nulls("position")
    return drawn["query"].to_numpy(), drawn["doc"].to_numpy()


def positive_rank_after_training(candidates, ratio):
    features_QNF = stale_world()
    query_T, doc_T = negatives_of(candidates, features_QNF, ratio)
    gaps_TF = features_QNF[query_T, 0] - features_QNF[query_T, doc_T]
    weights_F = np.array([1.0, 0.0, 0.0])
    for _ in range(400):
        miss_T = 1 / (1 + np.exp(gaps_TF @ weights_F))
        weights_F = weights_F + 0.1 * gaps_TF.T @ miss_T / len(gaps_TF)
    score_QN = features_QNF @ weights_F
    return float((score_QN > score_QN[:, :1]).sum(axis=1).mean()) + 1


def test_hard_negatives_alone_go_stale_and_random_ones_beside_them_do_not(candidates):
    assert positive_rank_after_training(candidates, 0.0) > 10  # documents outside the list rose above the positive
    assert positive_rank_after_training(candidates, 0.5) < 2
