"""Pairs that are known before anything is searched, as a miner proposes them."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from negset.arrays import Floats, Rows
from negset.mining.miner import Documents, Queries, Search
from negset.search import Hits, top_hits


@dataclass(frozen=True)
class ScoredPairs:
    """Scored pairs by row numbers of the snapshot, each once, sorted by (query, doc)."""

    query: Rows
    doc: Rows
    score: Floats


def score_pairs(pairs: ScoredPairs, queries: Queries, documents: Documents, query_P: Rows, doc_P: Rows) -> Floats:
    """Give the listed score of each pair, NaN where it is not listed."""
    width = max(int(pairs.doc.max(initial=0)), int(documents.rows.max(initial=0))) + 1
    keys = pairs.query * width + pairs.doc
    wanted = queries.rows[query_P] * width + documents.rows[doc_P]
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.full(len(wanted), np.nan)
    return np.where(keys[place] == wanted, pairs.score[place], np.nan)


def open_partition(pairs: ScoredPairs, documents: Documents) -> Search:
    """Give the search among the pairs of `pairs` with one of `documents`."""
    place = np.searchsorted(documents.rows, pairs.doc)
    inside = np.zeros(len(place), dtype=bool)
    within = place < len(documents.rows)
    inside[within] = documents.rows[place[within]] == pairs.doc[within]
    created = documents.created[place[inside]]
    return partial(_mine_block, pairs.query[inside], place[inside], pairs.score[inside], created)


def _mine_block(query_P: Rows, doc_P: Rows, score_P: Floats, created_P: Rows, queries: Queries) -> Hits:
    first, last = np.searchsorted(query_P, queries.rows), np.searchsorted(query_P, queries.rows, side="right")
    count = last - first
    places = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    query = np.repeat(np.arange(len(count)), count)
    known = created_P[places] <= queries.until[query]
    places = places[known]
    return top_hits(Hits(query[known], doc_P[places], score_P[places]), queries.depths)
