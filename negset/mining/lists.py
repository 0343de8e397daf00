"""Lists of best documents that can be carried over to a corpus in which some documents changed.

A list is complete down to its floor: every document at or above it is in the list. A fresh list holds a few
documents more than are wanted, and its floor is its last entry. When documents leave, the floor stays and the list
grows shorter; when documents come, those at or above the floor join it. So what is left is complete still, and as
long as it has enough documents it begins exactly as a fresh list would. A query whose list became too short is
searched again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.search import Hits, join_hits, ranks

EVERYTHING: Final = -np.inf
"""Floor of a list that holds every document which its query may have."""


@dataclass(frozen=True)
class Lists:
    """Best documents of some queries, in the order (query, score descending, doc).

    `floor_Q` is the score down to which each list is complete; of the documents with just that score it has those
    before row `floor_doc_Q`.
    """

    hits: Hits
    floor_Q: Floats
    floor_doc_Q: Rows


def reserve(depth_Q: Rows) -> Rows:
    """Give the documents that lists hold beyond `depth_Q`: an eighth, and a few for short ones.

    With one document in a hundred changed, a list of 100 loses one on average and more than 16 once in 10**14 times.
    """
    return depth_Q // 8 + 4


def fresh_lists(hits: Hits, length_Q: Rows) -> Lists:
    """Take `hits` of a search for `length_Q` documents; a list that is shorter holds everything."""
    return _with_floors(hits, length_Q, np.full(len(length_Q), EVERYTHING), np.zeros(len(length_Q), dtype=np.int64))


def patch_lists(old: Lists, added: Hits, length_Q: Rows) -> Lists:
    """Merge `added` into `old`, from which the documents that left are gone, and cut to `length_Q`.

    `added` are the hits of a search among the documents that came, in the order of a search.
    """
    floor_P, doc_P = old.floor_Q[added.query], old.floor_doc_Q[added.query]
    reached = (added.score > floor_P) | ((added.score == floor_P) & (added.doc < doc_P))
    joined = Hits(added.query[reached], added.doc[reached], added.score[reached])
    return _with_floors(insert_hits(old.hits, joined), length_Q, old.floor_Q, old.floor_doc_Q)


def insert_hits(hits: Hits, added: Hits) -> Hits:
    """Insert `added` into `hits`, both in the order (query, score descending, doc); no pair is in both.

    Many times faster than sorting when few are added: each finds its place by bisection.
    """
    low = np.searchsorted(hits.query, added.query)
    high = np.searchsorted(hits.query, added.query, side="right")
    while (low < high).any():
        middle = np.minimum((low + high) // 2, max(len(hits) - 1, 0))
        score, doc = hits.score[middle], hits.doc[middle]
        before = (low < high) & ((score > added.score) | ((score == added.score) & (doc < added.doc)))
        low, high = np.where(before, middle + 1, low), np.where((low < high) & ~before, middle, high)
    return Hits(
        np.insert(hits.query, low, added.query),
        np.insert(hits.doc, low, added.doc),
        np.insert(hits.score, low, added.score),
    )


def too_short(lists: Lists, depth_Q: Rows) -> NDArray[np.bool_]:
    """Tell which lists have fewer than `depth_Q` documents though there are more."""
    count_Q = np.bincount(lists.hits.query, minlength=len(depth_Q))
    return np.asarray((count_Q < depth_Q) & (lists.floor_Q != EVERYTHING))


def replace_lists(lists: Lists, query: Rows, fresh: Lists) -> Lists:
    """Put the `fresh` lists of the queries with rows `query` in the place of theirs."""
    replaced = np.zeros(len(lists.floor_Q), dtype=bool)
    replaced[query] = True
    kept = ~replaced[lists.hits.query]
    old = Hits(lists.hits.query[kept], lists.hits.doc[kept], lists.hits.score[kept])
    new = Hits(query[fresh.hits.query], fresh.hits.doc, fresh.hits.score)
    joined = join_hits([old, new])
    order = np.argsort(joined.query, kind="stable")
    floor_Q, floor_doc_Q = lists.floor_Q.copy(), lists.floor_doc_Q.copy()
    floor_Q[query], floor_doc_Q[query] = fresh.floor_Q, fresh.floor_doc_Q
    return Lists(Hits(joined.query[order], joined.doc[order], joined.score[order]), floor_Q, floor_doc_Q)


def no_lists(queries: int) -> Lists:
    """Give the empty lists of as many `queries`, which are complete down to nothing."""
    empty = Hits(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Lists(empty, np.full(queries, np.inf), np.zeros(queries, dtype=np.int64))


def join_lists(parts: Sequence[tuple[Rows, Lists]], queries: int) -> Lists:
    """Put lists together, each part with the rows of its queries; a query in no part has the empty list."""
    joined = no_lists(queries)
    for query, lists in parts:
        joined = replace_lists(joined, query, lists)
    return joined


def _with_floors(hits: Hits, length_Q: Rows, floor_Q: Floats, floor_doc_Q: Rows) -> Lists:
    """Cut `hits` to `length_Q`; a list that fills its length has its last entry for a floor, others keep theirs."""
    rank = ranks(hits.query)
    kept = rank <= length_Q[hits.query]
    cut = Hits(hits.query[kept], hits.doc[kept], hits.score[kept])
    last = np.flatnonzero(rank[kept] == length_Q[cut.query])
    floor_Q, floor_doc_Q = floor_Q.copy(), floor_doc_Q.copy()
    full = cut.query[last]
    floor_Q[full], floor_doc_Q[full] = cut.score[last], cut.doc[last] + 1
    return Lists(cut, floor_Q, floor_doc_Q)
