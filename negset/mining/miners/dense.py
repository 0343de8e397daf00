"""Propose the documents whose vectors are nearest to the query's."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from negset.errors import ConfigError
from negset.indexes.kind import EXACT
from negset.indexes.search import OpenIndex, mine_indexed, search_admissible
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.search import Backend, Floats, Hits, Matrix, Rows, pair_scores, search_exact

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
    return OpenMiner(
        open_partition=partial(_open_partition, queries, documents, inputs.config.dense.backend, _indexes(inputs)),
        score_pairs=partial(score_pairs, queries, documents),
    )


def mine(
    queries: Queries, documents: Documents, documents_ND: Matrix, query_vectors: "Vectors", backend: Backend
) -> Hits:
    """Give the nearest `documents` of each query by exact inner product of unit vectors, that is by cosine."""
    queries_QD = query_vectors.gather(queries.text.to_list())
    # The ids serve the message of a search that meets a vector that is not finite.
    return search_exact(queries_QD, documents_ND, queries.depths, backend, (queries.query_id, documents.doc_id))


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
    queries: "Vectors", vectors: "Vectors", backend: Backend, indexes: "Indexes | None", documents: Documents
) -> Search:
    documents_ND = vectors.gather(documents.text.to_list())
    opened = indexes.open_index(documents, documents_ND) if indexes else None
    if opened is None:
        return partial(_mine_block, documents, documents_ND, queries, backend)
    return partial(_mine_indexed, documents, opened, queries, backend)


def _mine_indexed(
    documents: Documents, opened: OpenIndex, query_vectors: "Vectors", backend: Backend, queries: Queries
) -> Hits:
    def exact(asking: Queries) -> Hits:
        queries_QD = query_vectors.gather(asking.text.to_list())
        return search_admissible(asking, documents, queries_QD, opened.documents_ND, backend)

    return mine_indexed(opened, queries, query_vectors.gather(queries.text.to_list()), documents, exact)


def _mine_block(
    documents: Documents, documents_ND: Matrix, query_vectors: "Vectors", backend: Backend, queries: Queries
) -> Hits:
    return mine(queries, documents, documents_ND, query_vectors, backend)
