"""Planted worlds, as what plans read: topics, places, classes, all by literal numbers."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from negset.batching.inputs import PlanInputs, ScoredPairs
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
