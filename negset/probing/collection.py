"""What a probe knows of a snapshot: queries, documents, and which documents the labels call relevant.

Rows are those of the snapshot: queries sorted by query_id, documents by doc_id.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.lots import id_keys
from negset.mining.positives import known_positives, labelled_positives
from negset.text import document_texts
from negset.training.examples import Groups, Rows

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class ProbeCollection:
    """A snapshot in memory. `positives` are the labelled ones of each query, `relevance` stands beside their rows.

    `text_keys` are equal where the normalised texts of two queries are; `known` holds every pair (`query`, `doc`) that
    must not be called a negative.
    """

    content: str
    queries: pl.DataFrame
    doc_ids: pl.Series
    document_texts: list[str]
    positives: Groups
    relevance: Rows
    known: pl.DataFrame
    query_keys: Keys
    doc_keys: Keys
    text_keys: Keys

    def with_positive(self, rows: Rows) -> Rows:
        """Give those of the query `rows` that have a labelled positive."""
        return rows[self.positives.sizes()[rows] > 0]

    def of_splits(self, splits: tuple[str, ...]) -> Rows:
        """Give the rows of the queries of `splits` that have a labelled positive, ascending."""
        chosen = self.queries.get_column("split").is_in(list(splits)).to_numpy()
        return self.with_positive(np.flatnonzero(chosen))

    def splits(self) -> list[str]:
        """Name the splits that have a query with a labelled positive, sorted."""
        some = self.queries.filter(pl.Series(self.positives.sizes() > 0))
        return sorted(some.get_column("split").unique().to_list())


def open_collection(snapshot: "Snapshot") -> ProbeCollection:
    """Read all of `snapshot` that probes need."""
    queries = snapshot.queries().select("query_id", "text", "split", "text_sha256")
    documents = snapshot.documents()
    labelled = labelled_positives(snapshot).sort("query", "doc")
    digests = b"".join(digest[:8] for digest in queries.get_column("text_sha256").to_list())
    return ProbeCollection(
        content=snapshot.content,
        queries=queries.select("query_id", "text", "split"),
        doc_ids=documents.get_column("doc_id"),
        document_texts=document_texts(documents).to_list(),
        positives=group_rows(labelled, queries.height),
        relevance=labelled.get_column("relevance").to_numpy().astype(np.int64),
        known=known_positives(snapshot),
        query_keys=id_keys(queries.get_column("query_id")),
        doc_keys=id_keys(documents.get_column("doc_id")),
        text_keys=np.frombuffer(digests, dtype="<u8").astype(np.uint64),
    )


def group_rows(pairs: pl.DataFrame, places: int) -> Groups:
    """Give for each of `places` queries its `doc` rows; `pairs` are sorted by `query`."""
    counts = np.bincount(pairs.get_column("query").to_numpy(), minlength=places)
    return Groups(np.r_[0, np.cumsum(counts)].astype(np.int64), pairs.get_column("doc").to_numpy().astype(np.int64))
