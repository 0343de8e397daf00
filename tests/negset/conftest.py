"""Snapshots and vectors in memory, with the methods of the real ones, for mining and what follows it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache

import numpy as np
import polars as pl
import pytest

from negset.fingerprint import fingerprint, rows_digest
from negset.mining.cell_files import read_candidates
from negset.mining.cells import listed_cells, mine_cells, query_blocks
from negset.mining.miner import MiningInputs
from negset.partitions import PartitionFacts
from negset.store import Store
from negset.text import document_text, text_digest

TIME = pl.Datetime("us", "UTC")
Label = tuple[str, str, int] | tuple[str, str, int, str]


def facts_of(name: str, created: pl.Series) -> PartitionFacts:
    return PartitionFacts(
        label=name,
        documents=len(created),
        undated=created.null_count(),
        first_created=created.min(),
        last_created=created.max(),
    )


def metadata_of(ids: pl.Series, about: Mapping[str, Mapping[str, object]]) -> pl.Series:
    return pl.Series([json.dumps(about[name]) if name in about else None for name in ids], dtype=pl.String)


class MemorySnapshot:
    """A snapshot made of literals: documents and queries by id, labels as (query_id, doc_id, relevance[, split])."""

    def __init__(
        self,
        documents: Mapping[str, str],
        queries: Mapping[str, str],
        labels: Iterable[Label],
        partitions: int = 1,
        splits: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
        created: Mapping[str, datetime] | None = None,
        asked: Mapping[str, datetime] | None = None,
        about: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        titles, splits, created, asked = titles or {}, splits or {}, created or {}, asked or {}
        corpus = pl.DataFrame(
            [
                (name, titles.get(name), text, created.get(name), text_digest(document_text(titles.get(name), text)))
                for name, text in documents.items()
            ],
            schema={
                **{"doc_id": pl.String, "title": pl.String, "text": pl.String},
                **{"created_at": TIME, "text_sha256": pl.Binary},
            },
            orient="row",
        ).sort("doc_id")
        self._queries = pl.DataFrame(
            [
                (name, text, splits.get(name, "train"), asked.get(name), text_digest(text))
                for name, text in queries.items()
            ],
            schema={
                **{"query_id": pl.String, "text": pl.String, "split": pl.String},
                **{"asked_at": TIME, "text_sha256": pl.Binary},
            },
            orient="row",
        ).sort("query_id")
        self._qrels = pl.DataFrame(
            [(*label, "train")[:4] for label in labels],
            schema={"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "split": pl.String},
            orient="row",
        ).sort("query_id", "doc_id", "split")
        if about is not None:  # metadata by id, of documents and queries alike
            corpus = corpus.with_columns(metadata=metadata_of(corpus["doc_id"], about))
            self._queries = self._queries.with_columns(metadata=metadata_of(self._queries["query_id"], about))
        bucket = [hashlib.sha256(name.encode()).digest()[0] % partitions for name in corpus["doc_id"]]
        self._parts = {
            f"b{number:04d}of{partitions:04d}": corpus.filter(pl.Series(bucket, dtype=pl.Int64) == number)
            for number in range(partitions)
        }
        self.partition_contents = {name: rows_digest(part, ["doc_id"]) for name, part in self._parts.items()}
        self.partition_facts = {
            name: facts_of(name, part.get_column("created_at")) for name, part in self._parts.items()
        }
        self.content = fingerprint(
            rows_digest(corpus, ["doc_id"]),
            rows_digest(self._queries, ["query_id"]),
            rows_digest(self._qrels, ["query_id", "doc_id", "split"]),
        )

    def partitions(self) -> list[str]:
        return sorted(self._parts)

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        return self._parts[partition] if partition else pl.concat(self._parts.values()).sort("doc_id")

    def document_columns(self, *columns: str) -> pl.DataFrame:
        return self.documents().select(columns)

    def queries(self) -> pl.DataFrame:
        return self._queries

    def qrels(self) -> pl.DataFrame:
        return self._qrels


class MemoryVectors:
    """Unit vectors of words: each word points into its own direction, a text is the sum of its words."""

    def __init__(self, dimensions: int = 16) -> None:
        self.dimensions = dimensions

    def gather(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self._embed(text) for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        return self.gather(texts)

    def _embed(self, text: str) -> np.ndarray:
        total = sum((word_vector(word, self.dimensions) for word in text.lower().split()), np.ones(self.dimensions))
        return total / np.linalg.norm(total)


@cache
def word_vector(word: str, dimensions: int) -> np.ndarray:
    """Give the direction of a word."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(dimensions)


@pytest.fixture(scope="session")
def memory_snapshot() -> type[MemorySnapshot]:
    """Give `MemorySnapshot`."""
    return MemorySnapshot


@pytest.fixture(scope="session")
def memory_vectors() -> type[MemoryVectors]:
    """Give `MemoryVectors`."""
    return MemoryVectors


def read_cell_rows(inputs: MiningInputs, miner: str, store: Store) -> list[tuple[str, str, float]]:
    """Mine and give (query_id, doc_id, score) of all candidates, cell by cell."""
    blocks, rows = query_blocks(inputs, miner), []
    for cell in listed_cells(store, mine_cells(inputs, miner, store)):
        hits, ids = read_candidates(store, cell.fingerprint), inputs.snapshot.documents(cell.partition)["doc_id"]
        names = blocks[cell.block].query_id.gather(hits.query)
        rows += zip(names, ids.gather(hits.doc), hits.score.tolist(), strict=True)
    return rows


@pytest.fixture(scope="session")
def cell_rows() -> Callable[..., list[tuple[str, str, float]]]:
    """Give `read_cell_rows`."""
    return read_cell_rows
