"""Pairs that a scorer is fitted on: the labelled positives, and documents that are mostly irrelevant to a query.

None is a known positive, nor a twin of one. Which are drawn depends on the seed and the ids alone.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Rows
from negset.lots import id_keys, mix
from negset.mining.positives import known_positives
from negset.teaching.cross_fitting import Flags
from negset.teaching.teacher import Pairs, TeachingInputs, pack

if TYPE_CHECKING:
    from negset.snapshot import Snapshot


@dataclass(frozen=True)
class TrainingPairs:
    """Pairs in the order of query and document, and which of them are labelled relevant."""

    pairs: Pairs
    relevant: Flags


def training_pairs(inputs: TeachingInputs, *negatives: Pairs) -> TrainingPairs:
    """Put the labelled positives beside `negatives`; what is known to be relevant is never one of these."""
    snapshot = inputs.mining.snapshot
    width = document_count(snapshot)
    known = pack_frame(known_positives(snapshot), width)
    labelled = np.unique(pack(inputs.labelled, width))
    drawn = np.unique(np.concatenate([labelled[:0], *(pack(part, width) for part in negatives)]))
    drawn = drawn[~np.isin(drawn, known)]
    packed = np.sort(np.concatenate([labelled, drawn]))
    return TrainingPairs(Pairs(*np.divmod(packed, max(width, 1))), np.isin(packed, labelled))


def random_documents(inputs: TeachingInputs, count: int, seed: int) -> Pairs:
    """Draw `count` documents of the corpus, repeats allowed, for each query with labelled positives."""
    query_U = np.unique(inputs.labelled.query)
    keys = query_keys(inputs.mining.snapshot, query_U) ^ id_keys([f"{seed}:random"])
    numbers = np.arange(count, dtype=np.uint64)
    lots = mix(mix(keys)[:, None] + numbers[None, :])
    docs = (lots % np.uint64(max(document_count(inputs.mining.snapshot), 1))).astype(np.int64)
    return Pairs(np.repeat(query_U, count), docs.ravel())


def others_positives(inputs: TeachingInputs, count: int, seed: int) -> Pairs:
    """Draw `count` of the documents that are labelled for some query, repeats allowed, for each labelled query."""
    query_U, doc_V = np.unique(inputs.labelled.query), np.unique(inputs.labelled.doc)
    keys = query_keys(inputs.mining.snapshot, query_U) ^ id_keys([f"{seed}:others"])
    lots = mix(mix(keys)[:, None] + np.arange(count, dtype=np.uint64)[None, :])
    return Pairs(np.repeat(query_U, count), doc_V[(lots % np.uint64(max(len(doc_V), 1))).astype(np.int64).ravel()])


def drawn_candidates(inputs: TeachingInputs, count: int, seed: int) -> Pairs:
    """Draw `count` of the candidates of each query with labelled positives, with equal chances."""
    query_U = np.unique(inputs.labelled.query)
    found = [Pairs(*(np.empty(0, np.int64),) * 2)]
    for block in inputs.candidates():
        asked = np.isin(block.query, query_U)
        found.append(_drawn(inputs.mining.snapshot, Pairs(block.query[asked], block.doc[asked]), count, seed))
    return Pairs(*(np.concatenate([getattr(part, side) for part in found]) for side in ("query", "doc")))


def _drawn(snapshot: "Snapshot", pairs: Pairs, count: int, seed: int) -> Pairs:
    """Give the `count` pairs of each query with the least lots."""
    query_U, query_P = np.unique(pairs.query, return_inverse=True)
    doc_V, doc_P = np.unique(pairs.doc, return_inverse=True)
    keys_U = query_keys(snapshot, query_U) ^ id_keys([f"{seed}:candidates"])
    keys_V = id_keys(snapshot.document_columns("doc_id")["doc_id"].gather(doc_V))
    order_P = np.lexsort((mix(mix(keys_U)[query_P] + keys_V[doc_P]), query_P))
    begin_P = np.searchsorted(query_P[order_P], query_P[order_P])
    return pairs[order_P[np.arange(len(order_P)) - begin_P < count]]


def query_keys(snapshot: "Snapshot", rows: Rows) -> NDArray[np.uint64]:
    """Hash the ids of the queries in `rows`."""
    return id_keys(snapshot.queries()["query_id"].gather(rows))


def document_count(snapshot: "Snapshot") -> int:
    """Count the documents of `snapshot`."""
    return snapshot.document_columns("doc_id").height


def pack_frame(frame: pl.DataFrame, documents: int) -> Rows:
    """Give the `query` and `doc` of each row as `pack` does."""
    return pack(Pairs(*(frame[side].to_numpy().astype(np.int64) for side in ("query", "doc"))), documents)
