"""Domains of which it is known what they do to each other, as sets on collections of arrays."""

import json

import numpy as np
import polars as pl
import pytest

from negset.lots import id_keys
from negset.probing.collection import ProbeCollection, group_rows
from negset.probing.examples import number_set
from negset.transfer.world import Member

TOPICS, PER_TOPIC, WIDTH = 48, 4, 12


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def domain_vectors(half, chance):
    """Give vectors of a document a topic and of some queries a topic: a topic in one half, a style in the other.

    The style misleads, so training learns to ignore the other half: two domains that differ in `half` conflict.
    """
    topics = unit(np.random.default_rng(99 + half).normal(size=(TOPICS, WIDTH)))
    styles = unit(np.random.default_rng(77 + half).normal(size=(8, WIDTH)))

    def texts(topic):
        parts = [topics[topic], 1.3 * styles[chance.integers(8, size=len(topic))]]
        rows = np.concatenate(parts if half == 0 else parts[::-1], axis=1)
        return unit(rows + 0.25 * chance.normal(size=rows.shape))

    return texts(np.repeat(np.arange(TOPICS), PER_TOPIC)), texts(np.arange(TOPICS))


def make_member_of(name, domains, seed=1):
    """Give a set with the `domains`: name to the half of the vectors that holds its topics."""
    chance = np.random.default_rng(seed)
    vectors = {domain: domain_vectors(half, chance) for domain, half in sorted(domains.items())}
    ids = [f"{domain}-q{row:04}" for domain in vectors for row in range(TOPICS * PER_TOPIC)]
    doc_ids = [f"{domain}-d{row:04}" for domain in vectors for row in range(TOPICS)]
    positive = [
        TOPICS * number + row // PER_TOPIC for number in range(len(vectors)) for row in range(TOPICS * PER_TOPIC)
    ]
    coded = pl.DataFrame({"query": range(len(ids)), "doc": positive}, schema={"query": pl.UInt32, "doc": pl.UInt32})
    queries_QD = np.concatenate([queries for queries, _ in vectors.values()])
    documents_ND = np.concatenate([documents for _, documents in vectors.values()])
    split = ["test" if row // PER_TOPIC % 3 == 0 else "train" for row in range(TOPICS * PER_TOPIC)] * len(vectors)
    collection = ProbeCollection(
        content=name,
        queries=pl.DataFrame({"query_id": ids, "text": [f"{query} text" for query in ids], "split": split}),
        doc_ids=pl.Series("doc_id", doc_ids),
        document_texts=doc_ids,
        positives=group_rows(coded, len(ids)),
        relevance=np.ones(len(ids), np.int64),
        known=coded,
        query_keys=id_keys(ids),
        doc_keys=id_keys(doc_ids),
        text_keys=id_keys([f"{name} {query}" for query in ids]),
    )
    scores_QN = queries_QD @ documents_ND.T
    negatives = []
    for row, query in enumerate(ids):
        own = TOPICS * (row // (TOPICS * PER_TOPIC)) + np.arange(TOPICS)
        hard = own[np.argsort(-scores_QN[row, own], kind="stable")]
        negatives += [(query, doc_ids[place]) for place in hard.tolist() if place != positive[row]][:4]
    schema = {"query_id": pl.String, "doc_id": pl.String}
    return Member(
        name,
        collection,
        number_set(collection, name, pl.DataFrame(negatives, schema=schema, orient="row")),
        queries_QD,
        documents_ND,
        pl.Series([json.dumps({"domain": query.split("-")[0]}) for query in ids]),
        pl.Series([None] * len(ids), dtype=pl.Datetime("us", "UTC")),
    )


@pytest.fixture(scope="session")
def make_member():
    """Give `make_member_of`."""
    return make_member_of
