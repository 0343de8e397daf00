"""Groups of queries that must stay together where some teach and others are judged."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from negset.arrays import Rows


def linked_groups(text_Q: Rows, query_P: Rows, doc_P: Rows, largest: float) -> Rows:
    """Number the groups of queries that are linked by a shared text or positive, directly or through others.

    `text_Q` numbers the texts of the queries from 0, `query_P` and `doc_P` are their positives. Of queries linked to
    more than `largest`, only those of equal text share a group. Groups count from 0.
    """
    texts = int(text_Q.max(initial=-1)) + 1
    end_P = np.unique(doc_P, return_inverse=True)[1].reshape(-1) + texts
    nodes = int(max(texts, end_P.max(initial=-1) + 1))
    links = coo_array((np.ones(len(query_P)), (text_Q[query_P], end_P)), shape=(nodes, nodes))
    linked_Q = connected_components(links, directed=False)[1][text_Q]
    giant_Q = np.bincount(linked_Q)[linked_Q] > largest
    split_Q = np.where(giant_Q, nodes + text_Q, linked_Q)
    return np.asarray(np.unique(split_Q, return_inverse=True)[1].reshape(-1), np.int64)


def deal_groups(group_Q: Rows, lot_Q: NDArray[np.uint64], folds: int) -> Rows:
    """Give each query its fold: largest groups first, each to the smallest fold; ties by the least lot of a group."""
    members_G = np.bincount(group_Q)
    first_G = np.full(len(members_G), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first_G, group_Q, lot_Q)
    size_F, fold_G = np.zeros(folds, dtype=np.int64), np.zeros(len(members_G), dtype=np.int64)
    for group in np.lexsort((first_G, -members_G)):
        fold_G[group] = np.argmin(size_F)
        size_F[fold_G[group]] += members_G[group]
    fold_Q: Rows = fold_G[group_Q]
    return fold_Q
