from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, ContractError
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.miners import dense
from negset.mining.times import FIRST, LAST
from schemas.config import MineConfig

TEXTS = [f"word{n} word{n * n % 11} shared" for n in range(60)] + ["word3 word9 shared"] * 3


class Table:
    """Vectors of texts, written by hand."""

    dimensions = 2

    def __init__(self, vectors):
        self.vectors = vectors

    def gather(self, texts):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)

    rows = gather


@pytest.fixture
def opened(memory_snapshot):
    """Give a function that opens the miner with vectors of queries and documents."""
    snapshot = memory_snapshot({}, {"q": "q"}, [])
    return lambda queries, documents: find_miner("dense").open_miner(
        MiningInputs(snapshot, MineConfig(), 13, "encoder", queries, documents)
    )


def queries(texts, depth):
    names = pl.Series([f"q{n}" for n in range(len(texts))])
    return Queries(
        np.arange(len(texts)), names, pl.Series(texts), np.full(len(texts), depth), np.full(len(texts), LAST)
    )


def documents(texts):
    return Documents(
        pl.Series([f"d{n:03d}" for n in range(len(texts))]),
        pl.Series(texts),
        np.arange(len(texts)),
        np.full(len(texts), FIRST),
    )


def test_the_score_is_the_cosine(opened):
    miner = opened(Table({"q": [1, 0]}), Table({"near": [0.8, 0.6], "far": [-1, 0], "right": [0, 1]}))
    hits = miner.open_partition(documents(["far", "near", "right"]))(queries(["q"], 2))
    assert list(zip(hits.doc.tolist(), hits.score.tolist(), strict=True)) == [(1, 0.8), (2, 0.0)]


def test_a_pair_scores_as_it_did_when_it_was_found(opened, memory_vectors, monkeypatch):
    miner = opened(memory_vectors(), memory_vectors())
    asked, searched = queries(TEXTS[:9], len(TEXTS)), documents(TEXTS)
    hits = miner.open_partition(searched)(asked)
    monkeypatch.setattr(dense, "_PAIRS", 10)
    again = miner.score_pairs(asked, searched, hits.query, hits.doc)
    assert again.tobytes() == hits.score.tobytes()


def test_vectors_that_are_not_finite_are_named(opened):
    miner = opened(Table({"q": [1, 0]}), Table({"good": [0.8, 0.6], "bad": [np.nan, 0]}))
    with pytest.raises(ContractError, match="1 document vectors are not finite: d001"):
        miner.open_partition(documents(["good", "bad"]))(queries(["q"], 2))


def test_it_needs_vectors(opened):
    with pytest.raises(ConfigError, match="embed queries and documents"):
        opened(None, None)


def test_a_query_is_given_no_document_created_later_and_ties_go_by_id(opened, memory_vectors):
    texts = ["word1 shared"] * 40 + TEXTS
    miner, draw = opened(memory_vectors(), memory_vectors()), np.random.default_rng(4)
    searched = replace(documents(texts), created=draw.integers(0, 50, len(texts)))
    asked = replace(queries(TEXTS[:12], 15), until=np.array([LAST, FIRST, *draw.integers(0, 50, 10)]))
    hits = miner.open_partition(searched)(asked)
    for query, until in enumerate(asked.until.tolist()):
        known = np.flatnonzero(searched.created <= until)
        part = Documents(searched.doc_id.gather(known), searched.text.gather(known), known, searched.created[known])
        alone = miner.open_partition(part)(replace(queries(TEXTS[query : query + 1], 15)))
        assert hits.doc[hits.query == query].tolist() == known[alone.doc].tolist()
        assert hits.score[hits.query == query].tolist() == alone.score.tolist()
