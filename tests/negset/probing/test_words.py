"""The bag learns which words matter from its set's own negatives."""

import numpy as np
import pytest

from negset.probing.folds import Fold
from negset.probing.measuring import measure_set, measure_untrained
from negset.probing.words import open_words
from negset.training.model import StaticStart

SIZE = 600


@pytest.fixture
def spoken(collection_of):
    """Give a collection in which a rare word names the answer and a filler word misleads, and its probe."""
    fillers, names = ["please", "kindly", "today", "maybe"], [f"name{row:03}" for row in range(SIZE)]
    texts = [f"{names[row]} {fillers[row % 4]}" for row in range(SIZE)]
    collection = collection_of([[row] for row in range(SIZE)], texts=texts, documents=SIZE)
    collection.document_texts[:] = [f"{names[row]} {fillers[(row + 1) % 4]}" for row in range(SIZE)]
    words = fillers + names
    embeddings = np.random.default_rng(1).normal(size=(len(words), 32)).astype(np.float32)
    start = StaticStart(words, embeddings, pattern=r"\w{2,}")
    return collection, open_words(collection, start)


def test_negatives_that_share_the_filler_teach_to_ignore_it(spoken, set_of):
    collection, probe = spoken
    fold = Fold(np.arange(500), np.arange(500, SIZE))
    # The filler of query r stands in the documents r - 1, r + 3, r + 7 and so on.
    near = {row: [(row + 3 + 4 * step) % SIZE for step in range(4)] for row in range(500)}
    hard = set_of(collection, "hard", near)
    before = measure_untrained(probe, collection, [fold]).mean("ndcg_at_10")
    found = measure_set(probe, collection, hard, [fold] * 2, [1, 1])
    assert found.mean("ndcg_at_10") > before + 0.02
    assert np.array_equal(found.values["ndcg_at_10"][0], found.values["ndcg_at_10"][1])


def test_a_run_leaves_the_start_as_it_was(spoken, set_of):
    collection, probe = spoken
    before = probe.untrained(np.arange(SIZE))
    fold = Fold(np.arange(40), np.arange(40, SIZE))
    measure_set(probe, collection, set_of(collection, "a", {row: [(row + 9) % 60] for row in range(40)}), [fold], [1])
    after = probe.untrained(np.arange(SIZE))
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
