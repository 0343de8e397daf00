"""Collections made of arrays, in which it is known what is relevant and which negatives must teach best."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from negset.lots import id_keys
from negset.probing.adapter import AdapterProbe
from negset.probing.collection import ProbeCollection, group_rows
from negset.probing.examples import ProbeSet, number_set


def make_collection(positives, texts=None, splits=None, documents=10, known=(), relevance=None):
    """Give a collection of `positives`: query row to document rows."""
    count = len(positives)
    pairs = pl.DataFrame(
        [(query, doc) for query, docs in enumerate(positives) for doc in sorted(docs)],
        schema={"query": pl.UInt32, "doc": pl.UInt32},
        orient="row",
    )
    texts = texts or [f"query {row}" for row in range(count)]
    query_ids = [f"q{row:04}" for row in range(count)]
    doc_ids = pl.Series("doc_id", [f"d{row:04}" for row in range(documents)])
    extra = pl.DataFrame(list(known), schema=pairs.schema, orient="row")
    gains = np.ones(pairs.height, np.int64) if relevance is None else np.asarray(relevance, np.int64)
    return ProbeCollection(
        content="content",
        queries=pl.DataFrame({"query_id": query_ids, "text": texts, "split": splits or ["train"] * count}),
        doc_ids=doc_ids,
        document_texts=[f"document {row}" for row in range(documents)],
        positives=group_rows(pairs, count),
        relevance=gains,
        known=pl.concat([pairs, extra]).unique(),
        query_keys=id_keys(query_ids),
        doc_keys=id_keys(doc_ids),
        text_keys=id_keys(texts),
    )


def make_set(collection, name, negatives):
    """Give the set of `negatives`: query row to document rows."""
    ids = collection.queries["query_id"]
    pairs = [(ids[query], f"d{doc:04}") for query, docs in negatives.items() for doc in docs]
    return number_set(
        collection,
        name,
        pl.DataFrame(pairs, schema={"query_id": pl.String, "doc_id": pl.String}, orient="row"),
    )


@dataclass(frozen=True)
class World:
    """A collection, frozen vectors of it, and sets by name."""

    collection: ProbeCollection
    probe: AdapterProbe
    sets: dict[str, ProbeSet]


def unit(vectors):
    """Scale each row to length one."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_world(twins, style_weight, facet_weight=0.7, share=0.8, noise=0.5, seed=3, topics=160, groups=16):
    """Give a world of texts with a topic, which decides relevance, a facet of it, and a style that misleads.

    Each topic has `1 + twins` documents, each with a facet of its own; a training query asks for the facet of the
    first, which alone is labelled. Without twins the nearest other documents share the query's style: they teach to
    ignore it. With twins the nearest are relevant, and teach to ignore the topic.
    """
    chance = np.random.default_rng(seed)
    topic_T, style_G = unit(chance.normal(size=(topics, 24))), unit(chance.normal(size=(groups, 24)))
    facet_N = unit(chance.normal(size=(topics * (1 + twins), 24)))

    def texts(topic, facet, style):
        parts = [topic_T[topic], facet_weight * facet_N[facet], style_weight * style_G[style]]
        rows = np.concatenate(parts, axis=1)
        return unit(rows + noise * chance.normal(size=rows.shape) / np.sqrt(rows.shape[1]))

    doc_topic = np.repeat(np.arange(topics), 1 + twins)
    documents_ND = texts(doc_topic, np.arange(len(doc_topic)), chance.integers(groups, size=len(doc_topic)))
    query_topic = np.tile(np.arange(topics), 2)
    queries_QD = texts(query_topic, query_topic * (1 + twins), chance.integers(groups, size=2 * topics))
    test = query_topic % 3 == 0
    positives = [
        np.flatnonzero(doc_topic == topic) if held else [topic * (1 + twins)]
        for topic, held in zip(query_topic, test, strict=True)
    ]
    collection = make_collection(
        positives, splits=["test" if held else "train" for held in test], documents=len(doc_topic)
    )
    scores_QN = queries_QD @ documents_ND.T
    own = np.array([scores_QN[row, docs[0]] for row, docs in enumerate(positives)])
    hard, aware = {}, {}
    for row in np.flatnonzero(~test).tolist():
        order = np.argsort(-scores_QN[row], kind="stable")
        order = order[order != positives[row][0]]
        hard[row] = order[:4].tolist()
        aware[row] = order[scores_QN[row, order] < share * own[row]][:4].tolist()
    drawn = {row: chance.choice(len(doc_topic), 4, replace=False).tolist() for row in hard}
    return World(
        collection,
        AdapterProbe(queries_QD, documents_ND),
        {
            "hard": make_set(collection, "hard", hard),
            "aware": make_set(collection, "aware", aware),
            "random": make_set(collection, "random", drawn),
        },
    )


@pytest.fixture(scope="session")
def collection_of():
    """Give `make_collection`."""
    return make_collection


@pytest.fixture(scope="session")
def set_of():
    """Give `make_set`."""
    return make_set


@pytest.fixture(scope="session")
def clean_world():
    """Give a world whose labels are complete."""
    return make_world(twins=0, style_weight=1.2)


@pytest.fixture(scope="session")
def twin_world():
    """Give a world in which the nearest unlabelled documents are relevant."""
    return make_world(twins=4, style_weight=0.5, facet_weight=1.0, share=0.4, topics=240, groups=24)
