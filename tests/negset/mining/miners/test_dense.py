import numpy as np
import polars as pl
import pytest

from negset.errors import ConfigError, ContractError
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.miners import dense
from negset.mining.times import FIRST, LAST
from schemas.config import DenseConfig, MineConfig

TEXTS = [f"word{n} word{n * n % 11} shared" for n in range(60)] + ["word3 word9 shared"] * 3


class Table:
    """Vectors of texts, written by hand."""

    dimensions = 2

    def __init__(self, vectors):
        self.vectors = vectors

    def gather(self, texts):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def opened(queries, documents, backend="auto"):
    config = MineConfig(dense=DenseConfig(backend=backend))
    return find_miner("dense").open_miner(MiningInputs(None, config, 13, "encoder", queries, documents))


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


def test_the_score_is_the_cosine():
    miner = opened(Table({"q": [1, 0]}), Table({"near": [0.8, 0.6], "far": [-1, 0], "right": [0, 1]}))
    hits = miner.open_partition(documents(["far", "near", "right"]))(queries(["q"], 2))
    assert list(zip(hits.doc.tolist(), hits.score.tolist(), strict=True)) == [(1, 0.8), (2, 0.0)]


def test_a_pair_scores_as_it_did_when_it_was_found(memory_vectors, monkeypatch):
    miner = opened(memory_vectors(), memory_vectors())
    asked, searched = queries(TEXTS[:9], len(TEXTS)), documents(TEXTS)
    hits = miner.open_partition(searched)(asked)
    monkeypatch.setattr(dense, "_PAIRS", 10)
    again = miner.score_pairs(asked, searched, hits.query, hits.doc)
    assert again.tobytes() == hits.score.tobytes()


def test_vectors_that_are_not_finite_are_named():
    miner = opened(Table({"q": [1, 0]}), Table({"good": [0.8, 0.6], "bad": [np.nan, 0]}))
    with pytest.raises(ContractError, match="1 document vectors are not finite: d001"):
        miner.open_partition(documents(["good", "bad"]))(queries(["q"], 2))


def test_it_needs_vectors():
    with pytest.raises(ConfigError, match="embed queries and documents"):
        opened(None, None)
