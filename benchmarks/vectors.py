"""Vectors and collections that benchmarks are made of.

Generated vectors are clusters of unequal size around random directions; `--documents` and `--queries` of a
benchmark take real ones instead (.npy, float32, unit length). A collection gives each vector a short text.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.encoders.encoder import Role
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.config import SourceConfig
from schemas.refs import EncoderRef, MiningRefs

ENCODER = "benchmark"


def generate(rows: int, dimensions: int, seed: int, clusters: int = 2000, spread: float = 0.6) -> Matrix:
    """Draw unit vectors around the same random directions for every `seed`."""
    centres = np.random.default_rng(1).standard_normal((clusters, dimensions), dtype=np.float32)
    weights = 1 / np.arange(1, clusters + 1) ** 0.5
    chance = np.random.default_rng(seed)
    vectors_ND = spread * centres[chance.choice(clusters, rows, p=weights / weights.sum())]
    vectors_ND += chance.standard_normal((rows, dimensions), dtype=np.float32)
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class RowEncoder:
    """Give the text that ends in `#17` row 17 of the vectors of its role."""

    vectors: dict[Role, Matrix]
    fingerprint: str = ENCODER

    @property
    def dimensions(self) -> int:
        """Give the width."""
        return self.vectors["query"].shape[1]

    def encode(self, texts: list[str], ids: list[str], role: Role) -> Matrix:
        """Look the rows up."""
        return self.vectors[role][[int(text.rsplit("#", 1)[1]) for text in texts]]


def document_id(number: int) -> str:
    """Name a document."""
    return f"d{number:08d}"


def write_collection(folder: Path, row_of: dict[str, int], queries: int, partitions: int = 1) -> SourceConfig:
    """Write documents, each with its row of the vectors, and `queries`, each with one positive, as tables."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(row_of)
    words = [f"amber birch cedar delta ember {row % 997} {row % 89} #{row}" for row in map(row_of.__getitem__, names)]
    asked = [f"q{row:07d}" for row in range(queries)]
    pl.DataFrame({"doc_id": names, "text": words}).write_parquet(folder / "corpus.parquet")
    pl.DataFrame({"query_id": asked, "text": [f"which grove heron #{row}" for row in range(queries)]}).write_parquet(
        folder / "queries.parquet"
    )
    qrels = {"query_id": asked, "doc_id": [names[0]] * queries, "relevance": [1] * queries}
    pl.DataFrame(qrels).write_parquet(folder / "qrels.parquet")
    return SourceConfig(format="parquet", path=str(folder), partitions=partitions)


def embed_collection(source: SourceConfig, encoder: RowEncoder, store: Store, shard: int = 8192) -> MiningRefs:
    """Read the collection and put its vectors into the store."""
    snapshot = build_snapshot(source, store)
    opened = open_snapshot(store, snapshot)
    prepared = EncoderRef(fingerprint=ENCODER, content=ENCODER, rows=0)
    refs = MiningRefs(snapshot=snapshot, encoder=prepared)
    documents, queries = opened.documents(), opened.queries()
    for role, ids, texts in (
        ("query", queries["query_id"].to_list(), queries["text"].to_list()),
        ("document", documents["doc_id"].to_list(), documents["text"].to_list()),
    ):
        key = vectors_fingerprint(prepared, snapshot.content, role)
        ref = embed_texts(encoder, ids, texts, role, store, shard, key)
        refs = refs.model_copy(update={f"{role}_vectors": ref})
    return refs
