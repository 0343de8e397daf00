"""Propose the documents that are nearest to the query in space (first phase of Sample4Geo, arXiv 2303.11851).

The score of a pair is minus its great-circle distance in km, rounded to 6 digits, which is a millimetre. Nearest
neighbours are those among all documents with a place, exactly. Queries without a place propose nothing.
"""

import logging
import math
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.fingerprint import fingerprint
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search, is_exact
from negset.mining.places import EARTH_KM, Places, distance_km, placed, query_degrees, read_places
from negset.search import DIGITS, Hits, canonical, join_hits, top_hits
from schemas.config import GeoConfig

VERSION: Final = 1
_TILE: Final = 1 << 21  # cosines held at once: 16 MB
_SLACK: Final = 10.0**-DIGITS / EARTH_KM + 4e-15  # of a cosine: one step of a score, and the rounding of two products
_log = logging.getLogger(__name__)


def identity(inputs: MiningInputs) -> object:
    """Give the options and the coordinates of the queries; those of the documents are in their partition's content."""
    config = inputs.config.geo
    degrees = [repr(pair) for pair in query_degrees(inputs.snapshot, config).tolist()]
    return {"options": config, "queries": fingerprint(degrees)}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Read the places of all queries and documents; say how many have none.

    A cell is not patched when documents change, but mined again: what is kept of the documents of an earlier build
    says nothing of their coordinates. Raises ConfigError and InputError as `read_places` does.
    """
    places = read_places(inputs.snapshot, inputs.config.geo)
    queries, documents = (len(found) - len(placed(found)) for found in (places.query_Q3, places.document_N3))
    if queries or documents:
        _log.warning(
            "miner 'geo': %d of %d queries and %d of %d documents have no coordinates; they are in no proposal",
            *(queries, len(places.query_Q3), documents, len(places.document_N3)),
        )
    return OpenMiner(
        open_partition=partial(_open_partition, places, inputs.config.geo),
        score_pairs=partial(score_pairs, places),
        exact=is_exact(inputs.config, "geo"),
    )


def score_pairs(places: Places, queries: Queries, documents: Documents, query_P: Rows, doc_P: Rows) -> Floats:
    """Give minus the distance in km of each pair, however far; NaN where one of both has no place."""
    left_P3, right_P3 = places.query_Q3[queries.rows[query_P]], places.document_N3[documents.rows[doc_P]]
    return canonical(-distance_km(left_P3, right_P3))


def _open_partition(places: Places, config: GeoConfig, documents: Documents) -> Search:
    vectors_N3 = places.document_N3[documents.rows]
    rows_N = placed(vectors_N3)
    return partial(_mine_block, places.query_Q3, config, vectors_N3[rows_N], rows_N, documents.created[rows_N])


def _mine_block(
    places_Q3: Floats, config: GeoConfig, documents_N3: Floats, rows_N: Rows, created_N: Rows, queries: Queries
) -> Hits:
    """Mine a tile of queries at a time; `rows_N` are the rows of the documents, which ascend."""
    vectors_Q3 = places_Q3[queries.rows]
    there = placed(vectors_Q3)
    step = max(_TILE // max(len(rows_N), 1), 1)
    parts = []
    for start in range(0, len(there), step):
        tile = there[start : start + step]
        known_TN = created_N <= queries.until[tile, None]
        query, doc = _possible(vectors_Q3[tile], documents_N3, queries.depths[tile], known_TN, config.min_km)
        score = canonical(-distance_km(vectors_Q3[tile[query]], documents_N3[doc]))
        inside = (score <= -config.min_km) & (score >= -(config.max_km or math.inf))
        parts.append(Hits(tile[query[inside]], rows_N[doc[inside]], score[inside]))
    return top_hits(join_hits(parts), queries.depths)


def _possible(
    vectors_T3: Floats, documents_N3: Floats, depth_T: Rows, known_TN: NDArray[np.bool_], min_km: float
) -> tuple[Rows, Rows]:
    """Give all pairs that can be among the nearest of their query, by the cosine of their angle and an error bound.

    Only what is surely as far as `min_km` counts towards a full list.
    """
    cosine_TN = vectors_T3 @ documents_N3.T
    nearest = math.cos(min(min_km / EARTH_KM, math.pi))
    sure_TN = np.where(known_TN & ((cosine_TN <= nearest - _SLACK) | (min_km == 0)), cosine_TN, -np.inf)
    least_T = np.full(len(vectors_T3), -np.inf)
    for depth in np.unique(depth_T[depth_T < len(documents_N3)]).tolist():
        rows = np.flatnonzero(depth_T == depth)
        if depth:
            least_T[rows] = np.partition(sure_TN[rows], len(documents_N3) - depth, axis=1)[:, -depth]
    possible_TN = known_TN & (cosine_TN >= least_T[:, None] - _SLACK) & (cosine_TN <= nearest + _SLACK)
    query, doc = np.nonzero(possible_TN)
    return query, doc
