"""nDCG@10, MRR@10 and recall@100 of each query over the whole corpus, from the ranks of its positives alone.

A positive's rank is one more than the number of documents before it, so no list is sorted: fast enough to measure
hundreds of probes. Agrees with `negset.evaluation`, which ranks by lists.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Matrix
from negset.evaluation import MEASURES
from negset.probing.collection import ProbeCollection
from negset.training.examples import Rows

Values = NDArray[np.float64]
_BLOCK = 512
"""Queries whose scores of all documents are held at once."""
_PAIRS = 256
"""Positives that are ranked at once."""


@dataclass(frozen=True)
class Ranked:
    """The measures of each measured query, one array a measure, in the order of the query rows."""

    rows: Rows
    values: dict[str, Values]


def measure_vectors(collection: ProbeCollection, rows: Rows, queries_HD: Matrix, documents_ND: Matrix) -> Ranked:
    """Measure the query `rows`, whose vectors are `queries_HD`, over all documents by inner product.

    Scores are rounded to 6 digits and ties go to the smaller document row. The gain of nDCG is the relevance.
    """
    ranks = np.concatenate(
        [np.empty(0, np.int64)]
        + [
            _ranks(collection, rows[start : start + _BLOCK], queries_HD[start : start + _BLOCK], documents_ND)
            for start in range(0, len(rows), _BLOCK)
        ]
    )
    return Ranked(rows, summarise_ranks(collection, rows, ranks))


def _ranks(collection: ProbeCollection, rows: Rows, queries_BD: Matrix, documents_ND: Matrix) -> Rows:
    """Give the rank of each labelled positive of the query `rows`, one after the other, from 1."""
    scores_BN = np.rint((queries_BD @ documents_ND.T) * np.float32(1e6))
    place, documents = collection.positives.take(rows)
    found = np.empty(len(place), dtype=np.int64)
    for start in range(0, len(place), _PAIRS):
        part = slice(start, start + _PAIRS)
        row_PN = scores_BN[place[part]]
        own_P = scores_BN[place[part], documents[part]][:, None]
        above = np.count_nonzero(row_PN > own_P, axis=1)
        same = row_PN == own_P
        shared = np.flatnonzero(np.count_nonzero(same, axis=1) > 1)
        for pair in shared.tolist():
            above[pair] += np.count_nonzero(same[pair, : documents[part][pair]])
        found[part] = above + 1
    return found


def summarise_ranks(collection: ProbeCollection, rows: Rows, ranks: Rows) -> dict[str, Values]:
    """Turn the `ranks` of the positives of the query `rows` into the measures of each."""
    place, _ = collection.positives.take(rows)
    gain = collection.relevance[collection.positives.entries(rows)].astype(np.float64)
    discount = np.where(ranks <= 10, 1.0 / np.log2(ranks + 1.0), 0.0)
    got = np.bincount(place, gain * discount, minlength=len(rows))
    by_gain = np.lexsort((-gain, place))
    first = np.repeat(
        np.r_[0, np.cumsum(np.bincount(place, minlength=len(rows)))[:-1]], np.bincount(place, minlength=len(rows))
    )
    ideal_rank = np.arange(len(place)) - first + 1
    ideal = np.bincount(
        place[by_gain], np.where(ideal_rank <= 10, gain[by_gain] / np.log2(ideal_rank + 1.0), 0.0), minlength=len(rows)
    )
    best = np.full(len(rows), np.inf)
    np.minimum.at(best, place, ranks)
    recall = np.bincount(place, ranks <= 100, minlength=len(rows)) / np.bincount(place, minlength=len(rows))
    values = (got / ideal, np.where(best <= 10, 1.0 / best, 0.0), recall)
    return dict(zip(MEASURES, values, strict=True))
