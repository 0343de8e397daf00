"""Propose documents drawn uniformly, without replacement.

Each pair of ids draws a 64-bit lot from the seed and both ids alone, and a query takes the documents with the
lowest lots. So a draw stays what it was when the corpus grows, is cut otherwise, or is mined elsewhere: a new
document only takes the place of the ones it beats.

A query draws among the documents that it may know. These are the first ones in the order of creation, so that no lot
is drawn for the others.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.lots import id_keys, mix
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.search import Hits, join_hits, no_hits, top_hits

VERSION = 2

_TILE = 1 << 16  # lots drawn at once: 512 kB, which stay in the cache
_LOW = np.uint64(11)  # bits of a lot that a float64 in [0, 1) has no room for
_NEVER = np.uint64(2**64 - 1)  # above every lot


def identity(inputs: MiningInputs) -> object:
    """Give what the lots depend on beside the ids."""
    return {"seed": inputs.seed}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Take the seed. A lot says nothing of a pair, so pairs get no score."""
    return OpenMiner(open_partition=partial(_open_partition, inputs.seed), score_pairs=None)


def mine(
    query_keys_Q: NDArray[np.uint64], doc_keys_N: NDArray[np.uint64], rows_N: Rows, depth_Q: Rows, known_Q: Rows
) -> Hits:
    """Give the `depth_Q` documents with the lowest lots of each query among its first `known_Q`.

    `rows_N` are the rows of the documents. The score of a hit is its priority: uniform in [0, 1), higher for a lower
    lot. It orders the draw and means nothing else.
    """
    parts = []
    step = max(_TILE // max(len(doc_keys_N), 1), 1)
    for start in range(0, len(query_keys_Q), step):
        tile = slice(start, start + step)
        width = known_Q[tile].max(initial=0)
        hits = _draw(query_keys_Q[tile], doc_keys_N[:width], rows_N[:width], depth_Q[tile], known_Q[tile])
        parts.append(Hits(hits.query + start, hits.doc, hits.score))
    return join_hits(parts)


def _open_partition(seed: int, documents: Documents) -> Search:
    rows_N = np.argsort(documents.created, kind="stable")
    return partial(_mine_block, seed, id_keys(documents.doc_id)[rows_N], rows_N, documents.created[rows_N])


def _mine_block(seed: int, doc_keys_N: NDArray[np.uint64], rows_N: Rows, created_N: Rows, queries: Queries) -> Hits:
    """Draw for `queries`, those that know about as much side by side: a tile is as wide as its widest query."""
    keys_Q = mix(id_keys(queries.query_id) ^ id_keys([f"{seed}:random"]))
    known_Q = np.searchsorted(created_N, queries.until, side="right")
    turn_Q = np.argsort(known_Q, kind="stable")
    hits = mine(keys_Q[turn_Q], doc_keys_N, rows_N, queries.depths[turn_Q], known_Q[turn_Q])
    query = turn_Q[hits.query]
    order = np.argsort(query, kind="stable")
    return Hits(query[order], hits.doc[order], hits.score[order])


def _draw(
    query_keys_Q: NDArray[np.uint64], doc_keys_N: NDArray[np.uint64], rows_N: Rows, depth_Q: Rows, known_Q: Rows
) -> Hits:
    """Draw the lots of a few queries and keep the lowest: first all below a limit that about enough are below."""
    depth_Q = np.minimum(depth_Q, known_Q)
    lots_QN = mix(query_keys_Q[:, None] + doc_keys_N) >> _LOW
    if known_Q.min() < len(doc_keys_N):
        lots_QN[np.arange(len(doc_keys_N)) >= known_Q[:, None]] = _NEVER
    expected = depth_Q.max(initial=0)
    hits = no_hits()
    # Six standard deviations above the mean: the loop goes round again once in a hundred million queries.
    wanted = expected + 6 * np.sqrt(expected) + 16
    while not _enough(hits, depth_Q):
        limit_Q = np.minimum(wanted / np.maximum(known_Q, 1), 1.0) * 2.0**53
        query, doc = np.nonzero(lots_QN <= limit_Q.astype(np.uint64)[:, None])
        priority: Floats = 1.0 - (lots_QN[query, doc].astype(np.float64) + 1.0) * 2.0**-53
        hits = top_hits(Hits(query, rows_N[doc], priority), depth_Q)
        wanted *= 2
    return hits


def _enough(hits: Hits, depth_Q: Rows) -> bool:
    return bool(len(hits) == depth_Q.sum())
