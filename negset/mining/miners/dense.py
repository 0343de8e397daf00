"""Propose the documents whose vectors are nearest to the query's."""

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.indexes.kind import EXACT
from negset.indexes.search import OpenIndex, mine_indexed
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search, is_exact
from negset.search import Corpus, Hits, open_corpus, pair_scores, search_corpus

if TYPE_CHECKING:
    from negset.indexes.opened import Indexes
    from negset.vectors import Vectors

VERSION = 1

_PAIRS = 1 << 16  # pairs whose document vectors are held at once: 100 MB at 384 dimensions


def identity(inputs: MiningInputs) -> object:
    """Give what names the vectors, the content of the encoder, and the indexes where there are any.

    The backend gives the same hits.
    """
    indexes = _indexes(inputs)
    return {"encoder": inputs.encoder_content, **({"index": indexes.content} if indexes and indexes.content else {})}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Take the vectors of queries and documents; raise ConfigError where there are none."""
    if inputs.query_vectors is None or inputs.document_vectors is None:
        message = "the miner 'dense' needs vectors: embed queries and documents before mining"
        raise ConfigError(message)
    queries, documents = inputs.query_vectors, inputs.document_vectors
    asked = inputs.snapshot.queries().height
    return OpenMiner(
        open_partition=partial(_open_partition, inputs, asked, queries, documents),
        score_pairs=partial(score_pairs, queries, documents),
        exact=is_exact(inputs.config, "dense"),
    )


def mine(queries: Queries, corpus: Corpus, created_N: Rows, query_vectors: "Vectors") -> Hits:
    """Give the nearest documents of each query by exact inner product of unit vectors, that is by cosine.

    `created_N` ascends with the documents of `corpus`, so that what a query may know is a first part of them.
    """
    queries_QD = query_vectors.gather(queries.text.to_list())
    limit_Q = np.searchsorted(created_N, queries.until, side="right")
    return search_corpus(queries_QD, corpus, queries.depths, queries.query_id, limit_Q=limit_Q, least_Q=queries.least)


def score_pairs(
    query_vectors: "Vectors",
    document_vectors: "Vectors",
    queries: Queries,
    documents: Documents,
    query_P: Rows,
    doc_P: Rows,
) -> Floats:
    """Give the canonical cosine of each pair, gathering the vectors of a bounded number of pairs at a time."""
    queries_QD = query_vectors.gather(queries.text.to_list())
    scores_P = np.empty(len(query_P), dtype=np.float64)
    for start in range(0, len(query_P), _PAIRS):
        part = slice(start, start + _PAIRS)
        rows_U, place_P = np.unique(doc_P[part], return_inverse=True)
        documents_UD = document_vectors.gather(documents.text.gather(rows_U).to_list())
        scores_P[part] = pair_scores(queries_QD, documents_UD, query_P[part], place_P)
    return scores_P


def _indexes(inputs: MiningInputs) -> "Indexes | None":
    if inputs.config.dense.index != EXACT and inputs.indexes is None:
        message = f"mine.dense.index is {inputs.config.dense.index!r}: prepare the indexes before mining"
        raise ConfigError(message)
    return inputs.indexes


def _open_partition(
    inputs: MiningInputs, asked: int, queries: "Vectors", vectors: "Vectors", documents: Documents
) -> Search:
    indexes = _indexes(inputs)
    opened = indexes.open_index(documents, vectors.gather(documents.text.to_list())) if indexes else None
    if opened is None:
        return _open_exact(inputs, asked, queries, vectors, documents)
    # Opened when the index first leaves a query to it.
    exact = cache(partial(_open_exact, inputs, asked, queries, vectors, documents))
    return partial(_mine_indexed, documents, opened, queries, lambda some: exact()(some))


def _open_exact(
    inputs: MiningInputs, asked: int, queries: "Vectors", vectors: "Vectors", documents: Documents
) -> Search:
    """Open the documents in the order of their creation, so that what a query may know is a first part of them."""
    by_time_N = np.argsort(documents.created, kind="stable")
    rows = vectors.rows(documents.text.gather(by_time_N).to_list())
    dense = inputs.config.dense
    operations = 2.0 * asked * len(rows) * rows.shape[1]
    names = documents.doc_id.gather(by_time_N)
    corpus = open_corpus(
        rows, operations, dense.backend, names, precision=dense.precision, memory=inputs.memory, order_N=by_time_N
    )
    return partial(mine, corpus=corpus, created_N=documents.created[by_time_N], query_vectors=queries)


def _mine_indexed(
    documents: Documents, opened: OpenIndex, query_vectors: "Vectors", exact: Search, queries: Queries
) -> Hits:
    return mine_indexed(opened, queries, query_vectors.gather(queries.text.to_list()), documents, exact)
