"""A small labelled collection for the tests of rounds."""

import numpy as np
import pytest

from negset.probing.collection import ProbeCollection, open_collection
from negset.training.model import StaticStart


@pytest.fixture
def labelled(memory_snapshot):
    """Give a function that opens a collection of literals: documents, queries, labels, splits."""

    def open_literals(documents, queries, labels, splits=None) -> ProbeCollection:
        return open_collection(memory_snapshot(documents, queries, labels, splits=splits))

    return open_literals


@pytest.fixture
def six(labelled) -> ProbeCollection:
    """Give six documents and three queries; the last has two positives."""
    documents = {f"d{row}": f"text {row}" for row in range(6)}
    queries = {"q0": "ask zero", "q1": "ask one", "q2": "ask two"}
    return labelled(documents, queries, [("q0", "d0", 1), ("q1", "d1", 1), ("q2", "d2", 1), ("q2", "d5", 1)])


@pytest.fixture
def words() -> StaticStart:
    """Give eight words and where their embeddings start."""
    names = sorted("ask0 ask1 word1 word2 body0 body1 filler noise".split())
    return StaticStart(names, np.random.default_rng(5).normal(size=(8, 16)).astype(np.float32))
