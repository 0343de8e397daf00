"""Propose documents drawn uniformly, without replacement.

Each pair of ids draws a 64-bit lot from the seed and both ids alone, and a query takes the documents with the
lowest lots. So a draw stays what it was when the corpus grows, is cut otherwise, or is mined elsewhere: a new
document only takes the place of the ones it beats.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from negset.lots import id_keys, mix
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.search import Floats, Hits, Rows, join_hits, no_hits, top_hits

VERSION = 1

_TILE = 1 << 16  # lots drawn at once: 512 kB, which stay in the cache
_LOW = np.uint64(11)  # bits of a lot that a float64 in [0, 1) has no room for


def identity(inputs: MiningInputs) -> object:
    """Give what the lots depend on beside the ids."""
    return {"seed": inputs.seed}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Take the seed. A lot says nothing of a pair, so pairs get no score."""
    return OpenMiner(open_partition=partial(_open_partition, inputs.seed), score_pairs=None)


def mine(query_keys_Q: NDArray[np.uint64], doc_keys_N: NDArray[np.uint64], depth_Q: Rows) -> Hits:
    """Give the `depth_Q` documents with the lowest lots of each query.

    The score of a hit is its priority: uniform in [0, 1), higher for a lower lot. It orders the draw and means
    nothing else.
    """
    parts = []
    step = max(_TILE // max(len(doc_keys_N), 1), 1)
    for start in range(0, len(query_keys_Q), step):
        hits = _draw(query_keys_Q[start : start + step], doc_keys_N, depth_Q[start : start + step])
        parts.append(Hits(hits.query + start, hits.doc, hits.score))
    return join_hits(parts)


def _open_partition(seed: int, documents: Documents) -> Search:
    return partial(_mine_block, seed, id_keys(documents.doc_id))


def _mine_block(seed: int, doc_keys_N: NDArray[np.uint64], queries: Queries) -> Hits:
    return mine(mix(id_keys(queries.query_id) ^ id_keys([f"{seed}:random"])), doc_keys_N, queries.depths)


def _draw(query_keys_Q: NDArray[np.uint64], doc_keys_N: NDArray[np.uint64], depth_Q: Rows) -> Hits:
    """Draw the lots of a few queries and keep the lowest: first all below a limit that about enough are below."""
    depth_Q = np.minimum(depth_Q, len(doc_keys_N))
    lots_QN = mix(query_keys_Q[:, None] + doc_keys_N) >> _LOW
    expected = depth_Q.max(initial=0)
    hits = no_hits()
    # Six standard deviations above the mean: the loop goes round again once in a hundred million queries.
    wanted = expected + 6 * np.sqrt(expected) + 16
    while not _enough(hits, depth_Q):
        share = min(wanted / len(doc_keys_N), 1.0)
        query, doc = np.nonzero(lots_QN <= np.uint64(share * 2.0**53))
        priority: Floats = 1.0 - (lots_QN[query, doc].astype(np.float64) + 1.0) * 2.0**-53
        hits = top_hits(Hits(query, doc, priority), depth_Q)
        wanted *= 2
    return hits


def _enough(hits: Hits, depth_Q: Rows) -> bool:
    return bool(len(hits) == depth_Q.sum())
