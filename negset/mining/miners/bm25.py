"""Propose documents by Lucene's BM25, as a product of sparse matrices in float64.

The score of a pair is the sum of the query's term counts times the document's weights, in the order of the
terms, rounded to 6 digits. Only documents that share a term with the query are proposed.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import scipy.sparse as sparse

from negset.errors import ConfigError
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.mining.statistics import Statistics
from negset.mining.tokens import tokenise_texts
from negset.search import HALF_STEP, Floats, Hits, Rows, canonical, join_hits, top_hits

VERSION = 1

_ENTRIES = 1 << 23  # entries of one product: 100 MB
_QUERIES = 256  # queries whose pairs are scored at once


def identity(inputs: MiningInputs) -> object:
    """Give the content of the term statistics, which covers k1, b, stemmer and stop words."""
    return {"statistics": _statistics(inputs).content}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Take the term statistics; raise ConfigError where there are none."""
    statistics = _statistics(inputs)
    return OpenMiner(open_partition=partial(_open_partition, statistics), score_pairs=partial(score_pairs, statistics))


def mine(queries_QT: sparse.csr_array, weights_TN: sparse.csr_array, depth_Q: Rows) -> Hits:
    """Give the `depth_Q` best documents of each query among those with a positive score."""
    parts = []
    for rows in _portions(queries_QT, np.diff(weights_TN.indptr)):
        product_QN = queries_QT[rows] @ weights_TN
        hits = _cut(product_QN, depth_Q[rows])
        parts.append(Hits(hits.query + rows.start, hits.doc, hits.score))
    return join_hits(parts)


def score_pairs(statistics: Statistics, queries: Queries, documents: Documents, query_P: Rows, doc_P: Rows) -> Floats:
    """Give the canonical score of each pair: by the same sums as `mine`, so a pair has one score. 0 without a match."""
    queries_QT = count_query_terms(statistics, queries.text.to_list())
    order_P = np.argsort(query_P, kind="stable")
    query_P = query_P[order_P]
    scores_P = np.zeros(len(query_P), dtype=np.float64)
    for start in range(0, queries_QT.shape[0], _QUERIES):
        part = slice(*np.searchsorted(query_P, [start, start + _QUERIES]))
        if part.stop > part.start:
            rows_U, place_P = np.unique(doc_P[order_P[part]], return_inverse=True)
            weights_TU = document_weights(statistics, documents.rows[rows_U])
            dense_QU = (queries_QT[start : start + _QUERIES] @ weights_TU).toarray()
            scores_P[order_P[part]] = dense_QU[query_P[part] - start, place_P]
    return canonical(scores_P)


def count_query_terms(statistics: Statistics, texts: list[str]) -> sparse.csr_array:
    """Count the terms of `texts` as a (query, term) matrix; terms of no document are left out."""
    terms, tokens, ends = tokenise_texts(statistics.config, texts)
    number_T = np.array([statistics.vocabulary.get(term, -1) for term in terms], dtype=np.int64)
    query = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
    number = number_T[tokens] if len(tokens) else np.empty(0, dtype=np.int64)
    known = number >= 0
    shape = (len(texts), len(statistics.vocabulary))
    matrix = sparse.coo_array((np.ones(int(known.sum())), (query[known], number[known])), shape=shape).tocsr()
    matrix.sum_duplicates()  # and sorts: the order of the sums
    return matrix


def document_weights(statistics: Statistics, row_N: Rows) -> sparse.csr_array:
    """Give the weights of the documents in `row_N` as a (term, document) matrix."""
    starts, ends = statistics.ends[row_N], statistics.ends[row_N + 1]
    length = ends - starts
    indptr = np.concatenate([[0], np.cumsum(length)])
    places = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - starts, length)
    shape = (len(row_N), len(statistics.vocabulary))
    by_document = sparse.csr_array((statistics.weights[places], statistics.terms[places], indptr), shape=shape)
    return by_document.T.tocsr()


def _statistics(inputs: MiningInputs) -> Statistics:
    if inputs.statistics is None:
        message = "the miner 'bm25' needs term statistics: prepare them before mining"
        raise ConfigError(message)
    return inputs.statistics


def _open_partition(statistics: Statistics, documents: Documents) -> Search:
    return partial(_mine_block, statistics, document_weights(statistics, documents.rows))


def _mine_block(statistics: Statistics, weights_TN: sparse.csr_array, queries: Queries) -> Hits:
    return mine(count_query_terms(statistics, queries.text.to_list()), weights_TN, queries.depths)


def _portions(queries_QT: sparse.csr_array, frequency_T: Rows) -> Iterator[slice]:
    """Cut the queries into runs whose product has a bounded number of entries."""
    work_Q = np.add.reduceat(np.r_[frequency_T[queries_QT.indices], 0], queries_QT.indptr[:-1])
    work_Q[np.diff(queries_QT.indptr) == 0] = 0
    total_Q = np.cumsum(work_Q)
    start = 0
    while start < len(work_Q):
        before = total_Q[start - 1] if start else 0
        stop = max(int(np.searchsorted(total_Q, before + _ENTRIES, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _cut(product_QN: sparse.csr_array, depth_Q: Rows) -> Hits:
    """Keep the best of each row of the product; what ties with the last after rounding is sorted out exactly."""
    data, docs, indptr = product_QN.data, product_QN.indices, product_QN.indptr
    kept = []
    for row, depth in enumerate(depth_Q.tolist()):
        start, stop = indptr[row], indptr[row + 1]
        scores = data[start:stop]
        if len(scores) > depth:
            last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
            kept.append(np.flatnonzero(scores >= last - 2 * HALF_STEP) + start)
        else:
            kept.append(np.arange(start, stop))
    places = np.concatenate([np.empty(0, dtype=np.int64), *kept])
    query = np.repeat(np.arange(len(kept)), [len(part) for part in kept])
    score = canonical(data[places])
    positive = score > 0
    return top_hits(Hits(query[positive], docs[places][positive].astype(np.int64), score[positive]), depth_Q)
