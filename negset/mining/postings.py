"""The weights of some documents by term, and the best documents of a query among them, one query at a time.

All terms of a query are added up in the order of the terms into one float64 array of the documents. Its k-th
largest value is bounded from below by the k-th largest of the maxima of groups of documents, which is a few
hundred times less to sort; what reaches the bound is cut exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from negset.mining.statistics import CountedPart, Statistics
from negset.search import HALF_STEP, Floats, Hits, Rows, canonical, join_hits, top_hits

_GROUP: Final = 64  # documents of a group at most; a power of two
_SPARE: Final = 8  # groups for each document that is wanted: with fewer, the bound lets too many through


@dataclass(frozen=True)
class Postings:
    """The documents and weights of each term `numbers[n]` are those from `starts[n]` to `starts[n + 1]`.

    Documents are numbered by their creation, so that those that a query may know come first: number n is the
    document `order[n]`, created at `created[n]`.
    """

    numbers: NDArray[np.int32]
    starts: list[int]
    document: NDArray[np.int32]
    weight: Floats
    order: Rows
    created: Rows


@dataclass(frozen=True)
class QueryTerms:
    """Terms of each query: those of query n are the entries from `ends[n]` to `ends[n + 1]`, ascending."""

    ends: Rows
    number: Rows
    count: Floats


def open_postings(statistics: Statistics, row_N: Rows, created_N: Rows) -> Postings:
    """Weigh all terms of the documents `row_N`: 12 bytes for each pair of them, and twice that while they are sorted."""
    numbers, by_document = _weights(statistics, row_N)
    order = np.argsort(created_N, kind="stable")
    if (order[1:] < order[:-1]).any():
        by_document = by_document[order]
    by_term = by_document.tocsc()
    return Postings(
        numbers, by_term.indptr.tolist(), by_term.indices.astype(np.int32), by_term.data, order, created_N[order]
    )


def best_documents(postings: Postings, terms: QueryTerms, depth_Q: Rows, until_Q: Rows) -> Hits:
    """Give the `depth_Q` best of the documents created by `until_Q`, of those that share a term with the query.

    Beside the hits, at most twice the depth of each query, it holds 8 bytes for each document.
    """
    known_Q = np.searchsorted(postings.created, until_Q, side="right")
    scores_N = np.zeros(-(-len(postings.order) // _GROUP) * _GROUP, dtype=np.float64)
    parts = []
    for query, places, counts in _query_places(postings, terms):
        depth, known = int(depth_Q[query]), int(known_Q[query])
        if depth > 0:
            add_terms(postings, places, counts, known, scores_N)
            found = candidates(scores_N, depth)
            parts.append(_cut(query, postings.order[found], scores_N[found], depth))
            scores_N.fill(0)
    return top_hits(join_hits(parts), depth_Q)


def add_terms(
    postings: Postings, places: Sequence[int], counts: Sequence[float], known: int, scores_N: Floats
) -> None:
    """Add to `scores_N` the weights of the terms at `places`, each `counts` times, for the first `known` documents."""
    document, weight, starts = postings.document, postings.weight, postings.starts
    everything = known == len(postings.order)
    for place, count in zip(places, counts, strict=True):
        start, stop = starts[place], starts[place + 1]
        if not everything:
            stop = start + int(np.searchsorted(document[start:stop], known))
        added = weight[start:stop]
        np.add.at(scores_N, document[start:stop], added if count == 1 else added * count)


def candidates(scores_N: Floats, depth: int) -> Rows:
    """Give the places of all scores that can be among the `depth` best once they are rounded, and of no zero."""
    group = _GROUP
    while group > 1 and len(scores_N) < group * depth * _SPARE:
        group //= 2
    if group > 1:
        grouped = scores_N.reshape(group, -1)
        best = grouped.max(axis=0)
        floor = np.partition(best, len(best) - depth)[len(best) - depth] - 2 * HALF_STEP
        if floor > 0:
            columns = np.flatnonzero(best >= floor)
            row, column = np.nonzero(grouped[:, columns] >= floor)
            return np.asarray(row * grouped.shape[1] + columns[column], dtype=np.int64)
    found = np.flatnonzero(scores_N)
    if len(found) <= depth:
        return found
    scores = scores_N[found]
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return found[scores >= last - 2 * HALF_STEP]


def _cut(query: int, docs: Rows, scores: Floats, depth: int) -> Hits:
    """Round, drop what is zero then and, where many tie, what is surely too low."""
    rounded = canonical(scores)
    positive = rounded > 0
    hits = Hits(np.full(int(positive.sum()), query), docs[positive], rounded[positive])
    if len(hits) <= 2 * depth:
        return hits
    order = np.lexsort((hits.doc, -hits.score))[:depth]
    return Hits(hits.query[order], hits.doc[order], hits.score[order])


def _query_places(postings: Postings, terms: QueryTerms) -> Iterator[tuple[int, list[int], list[float]]]:
    """Yield each query that has a term in these documents, where its terms stand and how often it has them."""
    last = max(len(postings.numbers) - 1, 0)
    place = np.minimum(np.searchsorted(postings.numbers, terms.number), last)
    known = postings.numbers[place] == terms.number if len(postings.numbers) else np.zeros(len(place), dtype=bool)
    ends = np.concatenate([[0], np.cumsum(known)])[terms.ends]
    places, counts = place[known].tolist(), terms.count[known].tolist()
    for query in np.flatnonzero(ends[1:] > ends[:-1]).tolist():
        start, stop = ends[query], ends[query + 1]
        yield query, places[start:stop], counts[start:stop]


def _weights(statistics: Statistics, row_N: Rows) -> tuple[NDArray[np.int32], sparse.csr_array]:
    """Give the weights of the documents `row_N`, a row for each, and the number of the term of each column."""
    part_N, local_N = (places[row_N] for places in statistics.places)
    chosen = [(statistics.open_part(part), np.flatnonzero(part_N == part)) for part in np.unique(part_N).tolist()]
    numbers = chosen[0][0].numbers if len(chosen) == 1 else _union([part.numbers for part, _ in chosen])
    rows = [_part_weights(statistics, part, local_N[places], numbers) for part, places in chosen]
    if len(rows) == 1:
        return numbers, rows[0]
    where = np.concatenate([np.empty(0, dtype=np.int64), *(places for _, places in chosen)])
    stacked = sparse.vstack(rows, format="csr") if rows else sparse.csr_array((0, 0))
    return numbers, stacked[np.argsort(where)]


def _union(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.unique(np.concatenate([np.empty(0, dtype=np.int32), *parts]))


def _part_weights(
    statistics: Statistics, part: CountedPart, local_N: Rows, numbers: NDArray[np.int32]
) -> sparse.csr_array:
    entries, ends = take_entries(part, local_N)
    number = part.numbers[part.counts.term[entries]]
    length = np.repeat(part.counts.lengths[local_N], np.diff(ends))
    weight = statistics.weigh(number, part.counts.count[entries], length)
    return sparse.csr_array((weight, np.searchsorted(numbers, number), ends), shape=(len(local_N), len(numbers)))


def take_entries(part: CountedPart, local_N: Rows) -> tuple[Rows | slice, Rows]:
    """Give the entries of the documents `local_N` of `part`, one document after the other, and where each ends."""
    starts = part.counts.ends[local_N]
    lengths = part.counts.ends[local_N + 1] - starts
    ends = np.concatenate([[0], np.cumsum(lengths)])
    if len(local_N) and ends[-1] == part.counts.ends[local_N[-1] + 1] - starts[0] and (np.diff(local_N) == 1).all():
        return slice(int(starts[0]), int(starts[0] + ends[-1])), ends  # read from front to back, nothing picked
    return np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths), ends
