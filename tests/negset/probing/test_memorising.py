"""A set that teaches documents by heart wins only where they are asked for again: folds decide what is measured."""

import numpy as np
import pytest

from negset.probing.adapter import AdapterProbe
from negset.probing.folds import cross_folds, shared_positives
from negset.probing.tuning import tune

TOPICS, TWINS, ASKED, STYLES, STYLE = 16, 4, 10, 12, 0.7


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world(collection_of, set_of):
    """Give a probe, a collection and two sets: documents have a topic, a style that misleads, and a mark of their own.

    Ten queries ask for each document, and carry a mark that belongs to it: which one can only be learned by heart.
    Negatives of the same topic teach these marks; negatives of the same style teach to look at topics, for all
    documents.
    """
    chance = np.random.default_rng(5)
    documents = TOPICS * TWINS
    topic_T, style_G = unit(chance.normal(size=(TOPICS, 16))), unit(chance.normal(size=(STYLES, 16)))
    mark_N, sign_N = (unit(chance.normal(size=(documents, 32))) for _ in range(2))
    topic_N, style_N = np.arange(documents) // TWINS, chance.integers(STYLES, size=documents)
    doc_Q = np.repeat(np.arange(documents), ASKED)
    style_Q = chance.integers(STYLES, size=len(doc_Q))
    noise_Q = 0.1 * chance.normal(size=(len(doc_Q), 16))
    documents_ND = unit(np.concatenate([topic_T[topic_N], STYLE * style_G[style_N], mark_N], axis=1))
    queries_QD = unit(
        np.concatenate([topic_T[topic_N[doc_Q]] + noise_Q, STYLE * style_G[style_Q], sign_N[doc_Q]], axis=1)
    )
    collection = collection_of([[doc] for doc in doc_Q.tolist()], documents=documents)
    by_heart, in_general = {}, {}
    for query, doc in enumerate(doc_Q.tolist()):
        by_heart[query] = [other for other in range(documents) if other != doc and topic_N[other] == topic_N[doc]]
        in_general[query] = [
            other for other in range(documents) if topic_N[other] != topic_N[doc] and style_N[other] == style_Q[query]
        ][:4] or [(doc + TWINS) % documents]
    sets = [set_of(collection, "by heart", by_heart), set_of(collection, "in general", in_general)]
    return AdapterProbe(queries_QD, documents_ND), collection, sets


def chosen(world, *, apart):
    probe, collection, sets = world
    folds = cross_folds(collection, np.arange(len(collection.queries)), 3, limit=9999, seed=1, positives_apart=apart)
    return tune(probe, collection, folds, sets, seed=1), shared_positives(collection, folds)


def test_what_was_learned_by_heart_does_not_win_for_new_documents(world):
    report, shared = chosen(world, apart=True)
    assert shared == report.shared == 0
    assert report.chosen == "in general"
    assert report.rows[1].below_chosen.real


def test_it_wins_where_the_same_documents_are_asked_for_again(world):
    report, shared = chosen(world, apart=False)
    assert shared == report.shared > 0.9 * len(world[1].queries)
    assert report.chosen == "by heart"
    assert report.rows[1].below_chosen.real
