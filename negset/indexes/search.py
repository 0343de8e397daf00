"""Search an index: what it proposes is scored by the true vectors, and what it cannot answer is searched exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from negset.arrays import Matrix, Rows
from negset.errors import ContractError
from negset.indexes.kernels import score_rows
from negset.indexes.kind import Propose, Setting
from negset.mining.miner import Documents, Queries
from negset.search import Hits, checked_norms, join_hits, pair_scores

_SLACK = 16  # proposed beyond the depth: canonical scores round, and ties go to the smaller row
_CLASS = 32  # depths are rounded up to multiples of this, so that few groups of queries arise
_PAIRS = 1 << 22  # pairs of one group at once


@dataclass(frozen=True)
class OpenIndex:
    """The index of some documents, ready to search as `setting` says."""

    propose: Propose
    documents_ND: Matrix
    setting: Setting


def mine_indexed(
    opened: OpenIndex, queries: Queries, queries_QD: Matrix, documents: Documents, exact: Callable[[Queries], Hits]
) -> Hits:
    """Give the hits of `queries` by the index, and by `exact` where the index has no say.

    That is where a query may not see all `documents`, has a vector of length zero, wants more documents than there
    are to choose from, or was not given as many as it wants.
    """
    norms_Q = checked_norms(queries_QD, "query", queries.query_id)
    barred_Q = queries.until < documents.created.max(initial=np.iinfo(np.int64).min)
    free = np.flatnonzero(~barred_Q & (norms_Q > 0))
    hits, open_rows = search_index(opened, queries_QD[free], queries.depths[free])
    rest = np.setdiff1d(np.arange(len(norms_Q)), np.setdiff1d(free, free[open_rows]))
    found = [Hits(free[hits.query], hits.doc, hits.score)]
    if len(rest):
        more = exact(pick_queries(queries, rest))
        found.append(Hits(rest[more.query], more.doc, more.score))
    whole = join_hits(found)
    order = np.argsort(whole.query, kind="stable")
    return Hits(whole.query[order], whole.doc[order], whole.score[order])


def search_index(opened: OpenIndex, queries_QD: Matrix, k_Q: Rows) -> tuple[Hits, Rows]:
    """Give the hits of the queries that the index could answer, and the rows of those that it could not.

    Scores are canonical and ties go to the smaller row, among what the index proposed. Raises ContractError where
    the widths differ.
    """
    if queries_QD.shape[1] != opened.documents_ND.shape[1]:
        message = (
            f"query vectors have {queries_QD.shape[1]} dimensions, indexed vectors {opened.documents_ND.shape[1]}: "
            "both must come from one encoder; embed them again"
        )
        raise ContractError(message)
    parts, unanswered = [], [np.empty(0, dtype=np.int64)]
    for rows, count in _groups(k_Q):
        if count >= len(opened.documents_ND):
            unanswered.append(rows)
            continue
        hits, short = _search_group(opened, queries_QD[rows], k_Q[rows], count)
        parts.append(Hits(rows[hits.query], hits.doc, hits.score))
        unanswered.append(rows[short])
    found = join_hits(parts)
    order = np.argsort(found.query, kind="stable")
    return Hits(found.query[order], found.doc[order], found.score[order]), np.sort(np.concatenate(unanswered))


def pick_queries(queries: Queries, rows: Rows) -> Queries:
    """Give some of `queries`."""
    return Queries(
        rows=queries.rows[rows],
        query_id=queries.query_id.gather(pl.Series(rows)),
        text=queries.text.gather(pl.Series(rows)),
        depths=queries.depths[rows],
        until=queries.until[rows],
    )


def _groups(k_Q: Rows) -> Iterator[tuple[Rows, int]]:
    """Yield rows of queries with about the same depth, and how many documents to ask the index for."""
    count_Q = -(-(np.asarray(k_Q, dtype=np.int64) + _SLACK) // _CLASS) * _CLASS
    for count in np.unique(count_Q[np.asarray(k_Q) > 0]).tolist():
        rows = np.flatnonzero((count_Q == count) & (np.asarray(k_Q) > 0))
        size = max(_PAIRS // count, 1)
        for start in range(0, len(rows), size):
            yield rows[start : start + size], count


def _search_group(opened: OpenIndex, queries_QD: Matrix, k_Q: Rows, count: int) -> tuple[Hits, Rows]:
    """Give the hits of queries that were proposed as many documents as they want, and the rows of the others."""
    proposed_QK = opened.propose(queries_QD, count, opened.setting)
    short_Q = (proposed_QK >= 0).sum(axis=1) < k_Q
    whole = np.flatnonzero(~short_Q)
    rows_QK = _shortlist(queries_QD[whole], opened.documents_ND, proposed_QK[whole], count)
    hits = _rank(queries_QD[whole], opened.documents_ND, rows_QK, k_Q[whole])
    return Hits(whole[hits.query], hits.doc, hits.score), np.flatnonzero(short_Q)


def _shortlist(queries_QD: Matrix, documents_ND: Matrix, rows_QK: Rows, count: int) -> Rows:
    """Cut what was proposed to the `count` best by float32 scores of the true vectors, rows ascending."""
    if rows_QK.shape[1] > count:
        rows_QK = np.sort(rows_QK, axis=1)
        score_QK = score_rows(queries_QD, documents_ND, rows_QK)
        best_QK = np.argpartition(-score_QK, count - 1, axis=1)[:, :count]
        rows_QK = np.take_along_axis(rows_QK, best_QK, axis=1)
    return np.sort(rows_QK, axis=1)


def _rank(queries_QD: Matrix, documents_ND: Matrix, rows_QK: Rows, k_Q: Rows) -> Hits:
    """Order each line of `rows_QK`, which ascends, by canonical score and cut it; -1 comes last."""
    query_P, place_P = np.nonzero(rows_QK >= 0)
    score_QK = np.full(rows_QK.shape, -np.inf)
    score_QK[query_P, place_P] = pair_scores(queries_QD, documents_ND, query_P, rows_QK[query_P, place_P])
    # A stable sort keeps equal scores in the order of their documents.
    order_QK = np.argsort(-score_QK, axis=1, kind="stable")
    kept_QK = np.arange(rows_QK.shape[1]) < k_Q[:, None]
    doc_QK, score_QK = np.take_along_axis(rows_QK, order_QK, axis=1), np.take_along_axis(score_QK, order_QK, axis=1)
    return Hits(np.repeat(np.arange(len(k_Q)), k_Q), doc_QK[kept_QK], score_QK[kept_QK])
