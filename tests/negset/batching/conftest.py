"""Planted worlds, as what plans read: topics, places, classes, all by literal numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset.batching.inputs import GradedPairs, OlderVersion, PlanInputs, ScoredPairs
from negset.lots import id_keys
from negset.training.examples import Groups


def listed(lists: Sequence[Sequence[int]]) -> Groups:
    sizes = [len(rows) for rows in lists]
    flat = [row for rows in lists for row in rows]
    return Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), np.array(flat, dtype=np.int64))


def inputs_of(
    queries: int,
    *,
    positives: Sequence[Sequence[int]] | None = None,
    known: Sequence[Sequence[int]] | None = None,
    negatives: Sequence[Sequence[int]] | None = None,
    documents: int | None = None,
    **rest,
) -> PlanInputs:
    """Give inputs whose query i has document i as its positive, unless told otherwise."""
    positives = [[row] for row in range(queries)] if positives is None else positives
    negatives = [[] for _ in range(queries)] if negatives is None else negatives
    known = positives if known is None else known
    if documents is None:
        documents = 1 + max((row for rows in [*positives, *negatives, *known] for row in rows), default=0)
    query_ids = [f"q{row:06}" for row in range(queries)]
    return PlanInputs(
        query_ids=query_ids,
        keys_Q=id_keys(query_ids),
        document_ids=[f"d{row:06}" for row in range(documents)],
        positives=listed(positives),
        known=listed(known),
        negatives=listed(negatives),
        **rest,
    )


@pytest.fixture(scope="session")
def plan_inputs() -> Callable[..., PlanInputs]:
    """Give `inputs_of`."""
    return inputs_of


@pytest.fixture(scope="session")
def groups_of() -> Callable[..., Groups]:
    """Give `listed`."""
    return listed


def topic_vectors(topics: int, each: int, noise: float, dimensions: int = 64, seed: int = 0):
    """Give unit vectors around random unit centres and the topic of each, rows mixed up."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((topics, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    topic = chance.permutation(np.repeat(np.arange(topics), each))
    vectors = centres[topic] + noise * chance.standard_normal((topics * each, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), topic


@pytest.fixture(scope="session")
def topics() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Give `topic_vectors`."""
    return topic_vectors


def same_share(visits, labels) -> float:
    """Give the share of pairs of a batch that have one label."""
    labels = np.asarray(labels)
    same = pairs = 0
    for rows in np.split(visits.query_V, np.flatnonzero(np.diff(visits.batch_V)) + 1):
        _, counts = np.unique(labels[rows], return_counts=True)
        same += (counts * (counts - 1) // 2).sum()
        pairs += len(rows) * (len(rows) - 1) // 2
    return same / pairs


@pytest.fixture(scope="session")
def pair_share():
    """Give `same_share`."""
    return same_share


def pairs_of(rows: Sequence[tuple[int, int, int, float]]) -> ScoredPairs:
    """Give pairs from (query, positive, negative, margin)."""
    query, positive, negative, margin = zip(*sorted(rows), strict=True) if rows else ((), (), (), ())
    return ScoredPairs(*(np.array(part, dtype=np.int64) for part in (query, positive, negative)), np.array(margin))


@pytest.fixture(scope="session")
def scored_pairs():
    """Give `pairs_of`."""
    return pairs_of


def rich_inputs(queries: int, seed: int = 0) -> PlanInputs:
    """Give inputs that have all that any plan asks for: topics, places, tasks, margins, grades, versions."""
    chance = np.random.default_rng(seed)
    vectors, topic = topic_vectors(max(queries // 8, 1), 8, 0.1, seed=seed)
    vectors, topic = np.resize(vectors, (queries, 64)), np.resize(topic, queries)
    documents = queries + 40
    positives = [[row, (row + 1) % queries] if row % 3 == 0 and queries > 1 else [row] for row in range(queries)]
    negatives = [sorted({queries + int(one) for one in chance.integers(0, 40, row % 4)}) for row in range(queries)]
    document_vectors = chance.standard_normal((documents, 64)).astype(np.float32)
    document_vectors /= np.linalg.norm(document_vectors, axis=1, keepdims=True)
    pairs = [
        (query, positive, negative, float(chance.normal()))
        for query in range(queries)
        for positive in positives[query]
        for negative in negatives[query]
    ]
    grades = [
        (query, positive, 1 + (query + positive) % 2) for query in range(queries) for positive in positives[query]
    ]
    older = listed([[queries + row % 40] if row % 2 else [] for row in range(queries)])
    return inputs_of(
        queries,
        positives=positives,
        known=[sorted({*own, *((row + 2) % queries for _ in range(row % 2))}) for row, own in enumerate(positives)],
        negatives=negatives,
        documents=documents,
        vectors=lambda: vectors,
        document_vectors=lambda rows: document_vectors[rows],
        pairs=lambda _by: pairs_of(pairs),
        column=lambda _name: pl.Series([f"task{one % 3}" for one in topic], dtype=pl.String),
        places=lambda _latitude, _longitude: (
            np.stack([topic * 1.5 - 60, np.arange(queries) * 0.001], axis=1)
            + np.where(np.arange(queries) % 11 == 7, np.nan, 0.0)[:, None]
        ),
        losses=lambda _path: 0.5 + np.arange(queries) * 7 % 19,
        grades=lambda: (
            GradedPairs(*(np.array(part, dtype=np.int64) for part in zip(*sorted(grades), strict=True)))
            if grades
            else GradedPairs(*(np.empty(0, dtype=np.int64) for _ in range(3)))
        ),
        versions=lambda: [OlderVersion("new", 1, listed(negatives)), OlderVersion("old", 2, older)],
    )


@pytest.fixture(scope="session")
def rich():
    """Give `rich_inputs`."""
    return rich_inputs


def permuted_inputs(inputs: PlanInputs, order: np.ndarray) -> PlanInputs:
    """Give the same inputs with the queries in another order; documents stay where they are."""
    back = np.argsort(order)

    def groups(given: Groups) -> Groups:
        return listed([given.take(np.array([row]))[1].tolist() for row in order.tolist()])

    def pairs(by: str) -> ScoredPairs:
        found = inputs.pairs(by)
        rows = zip(back[found.query_P], found.positive_P, found.negative_P, found.margin_P, strict=True)
        return pairs_of([(int(a), int(b), int(c), float(d)) for a, b, c, d in rows])

    def grades() -> GradedPairs:
        found = inputs.grades()
        query = back[found.query_P]
        place = np.lexsort((found.document_P, query))
        return GradedPairs(query[place], found.document_P[place], found.grade_P[place])

    losses = inputs.losses("")[order]
    return replace(
        inputs,
        query_ids=[inputs.query_ids[row] for row in order.tolist()],
        keys_Q=inputs.keys_Q[order],
        positives=groups(inputs.positives),
        known=groups(inputs.known),
        negatives=groups(inputs.negatives),
        vectors=lambda: inputs.vectors()[order],
        pairs=pairs,
        column=lambda name: inputs.column(name)[order],
        places=lambda latitude, longitude: inputs.places(latitude, longitude)[order],
        losses=lambda _path: losses,
        grades=grades,
        versions=lambda: [replace(one, negatives=groups(one.negatives)) for one in inputs.versions()],
    )


@pytest.fixture(scope="session")
def permuted():
    """Give `permuted_inputs`."""
    return permuted_inputs
