"""The weights of some documents by term, and the best documents of a query among them.

All terms of a query are added up in the order of the terms into one float64 array of the documents. Its k-th
largest value is bounded from below by the k-th largest of the maxima of groups of documents, which is a few
hundred times less to sort; what reaches the bound is cut exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.mining.statistics import CountedPart, Statistics
from negset.search import HALF_STEP, Hits, canonical, join_hits, top_hits

_CHUNK: Final = 1 << 14  # documents weighed at once
_FEW: Final = 2048  # documents up to which queries are searched together
_WORK: Final = 1 << 18  # sums and scores of queries that are searched together: 16 MB
_GROUP: Final = 64  # documents of a group at most; a power of two
_SPARE: Final = 8  # groups for each document that is wanted: with fewer, the bound lets too many through


@dataclass(frozen=True)
class Postings:
    """The documents and weights of each term `numbers[n]` are those from `starts[n]` to `starts[n + 1]`.

    Documents are numbered by their creation, so that those that a query may know come first: number n is the
    document `order[n]`, created at `created[n]`.
    """

    numbers: NDArray[np.int32]
    starts: Rows
    document: NDArray[np.int32]
    weight: Floats
    order: Rows
    created: Rows


@dataclass(frozen=True)
class QueryTerms:
    """Terms of each query: those of query n are the entries from `ends[n]` to `ends[n + 1]`, ascending."""

    ends: Rows
    number: Rows
    count: NDArray[np.int32]


def open_postings(statistics: Statistics, row_N: Rows, created_N: Rows) -> Postings:
    """Weigh all terms of the documents `row_N`: 12 bytes for each pair, twice that while they are sorted."""
    numbers, by_document = _weights(statistics, row_N)
    order = np.argsort(created_N, kind="stable")
    if (order[1:] < order[:-1]).any():
        by_document = by_document[order]
    by_term = by_document.tocsc()
    return Postings(
        numbers,
        by_term.indptr.astype(np.int64),
        by_term.indices.astype(np.int32),
        by_term.data,
        order,
        created_N[order],
    )


def best_documents(postings: Postings, terms: QueryTerms, depth_Q: Rows, until_Q: Rows) -> Hits:
    """Give the `depth_Q` best of the documents created by `until_Q`, of those that share a term with the query.

    Beside the hits it holds 8 bytes for each document or, where these are few, 16 MB at the most.
    """
    known_Q = np.searchsorted(postings.created, until_Q, side="right")
    terms = _placed(postings, terms)
    search = _search_few if len(postings.order) <= _FEW else _search_many
    return join_hits(list(search(postings, terms, depth_Q, known_Q)))


def _placed(postings: Postings, terms: QueryTerms) -> QueryTerms:
    """Keep the terms that stand in these documents, by their places among `numbers`."""
    place = places_among(terms.number, postings.numbers)
    known = place < len(postings.numbers)
    return QueryTerms(np.concatenate([[0], np.cumsum(known)])[terms.ends], place[known], terms.count[known])


def _search_many(postings: Postings, terms: QueryTerms, depth_Q: Rows, known_Q: Rows) -> Iterator[Hits]:
    """Search one query at a time, term by term."""
    scores_N = np.zeros(-(-len(postings.order) // _GROUP) * _GROUP, dtype=np.float64)
    starts, places, counts = postings.starts.tolist(), terms.number.tolist(), terms.count.tolist()
    for query, (start, stop) in enumerate(pairwise(terms.ends.tolist())):
        depth, known = int(depth_Q[query]), int(known_Q[query])
        if stop > start and depth > 0:
            for place, count in zip(places[start:stop], counts[start:stop], strict=True):
                _add_term(postings, starts[place], starts[place + 1], count, known, scores_N)
            found = candidates(scores_N, depth)
            docs, scores = postings.order[found], canonical(scores_N[found])
            # What is nothing once it is rounded stands last, and takes nobody's place.
            best = np.lexsort((docs, -scores))[: min(depth, np.count_nonzero(scores))]
            yield Hits(np.full(len(best), query), docs[best], scores[best])
            scores_N.fill(0)


def _add_term(postings: Postings, start: int, stop: int, count: int, known: int, scores_N: Floats) -> None:
    """Add to `scores_N` the weights from `start` to `stop`, `count` times, of the first `known` documents."""
    if known < len(postings.order):
        stop = start + int(np.searchsorted(postings.document[start:stop], known))
    weight = postings.weight[start:stop]
    np.add.at(scores_N, postings.document[start:stop], weight if count == 1 else weight * count)


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
            row, column = np.divmod(np.flatnonzero(grouped[:, columns] >= floor), len(columns))
            return np.asarray(row * grouped.shape[1] + columns[column], dtype=np.int64)
    found = np.flatnonzero(scores_N)
    if len(found) <= depth:
        return found
    scores = scores_N[found]
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return np.asarray(found[scores >= last - 2 * HALF_STEP], dtype=np.int64)


def _search_few(postings: Postings, terms: QueryTerms, depth_Q: Rows, known_Q: Rows) -> Iterator[Hits]:
    """Search many queries at a time: with few documents a call for each term would take longer than its sums."""
    width = len(postings.order)
    frequency = np.diff(postings.starts)[terms.number]
    work_Q = np.diff(np.concatenate([[0], np.cumsum(frequency)])[terms.ends]) + width
    for rows in _portions(work_Q, _WORK):
        entries, queries = slice(terms.ends[rows.start], terms.ends[rows.stop]), rows.stop - rows.start
        query = np.repeat(np.arange(queries), np.diff(terms.ends[rows.start : rows.stop + 1]))
        length = frequency[entries]
        place = expand(postings.starts[terms.number[entries]], length)
        sums = np.bincount(
            np.repeat(query * width, length) + postings.document[place],
            weights=postings.weight[place] * np.repeat(terms.count[entries], length),
            minlength=queries * width,
        )
        scores_QN = np.asarray(sums, dtype=np.float64).reshape(queries, width)
        found = _cut_rows(rows, scores_QN, postings.order, depth_Q[rows], known_Q[rows])
        yield top_hits(found, depth_Q)


def _cut_rows(rows: slice, scores_QN: Floats, order: Rows, depth_Q: Rows, known_Q: Rows) -> Hits:
    """Give all that can be among the best of each row, and what ties with them."""
    width = scores_QN.shape[1]
    if (known_Q < width).any():
        scores_QN[np.arange(width) >= known_Q[:, None]] = 0
    floor_Q = np.full(len(scores_QN), np.finfo(np.float64).tiny)
    for depth in np.unique(depth_Q[(depth_Q > 0) & (depth_Q < width)]).tolist():
        same = np.flatnonzero(depth_Q == depth)
        last = np.partition(scores_QN[same], width - depth, axis=1)[:, width - depth]
        floor_Q[same] = np.maximum(floor_Q[same], last - 2 * HALF_STEP)
    query, found = np.nonzero(scores_QN >= floor_Q[:, None])
    rounded = canonical(scores_QN[query, found])
    positive = rounded > 0
    return Hits(query[positive] + rows.start, order[found[positive]], rounded[positive])


def _portions(work_Q: Rows, most: int) -> Iterator[slice]:
    """Cut the queries into runs of at most so much work, or of one query."""
    total_Q = np.cumsum(work_Q)
    start = 0
    while start < len(work_Q):
        before = total_Q[start - 1] if start else 0
        stop = max(int(np.searchsorted(total_Q, before + most, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _weights(statistics: Statistics, row_N: Rows) -> tuple[NDArray[np.int32], sparse.csr_array]:
    """Give the weights of the documents `row_N`, a row for each, and the number of the term of each column."""
    part_N, local_N = (places[row_N] for places in statistics.places)
    chosen = [(statistics.open_part(part), np.flatnonzero(part_N == part)) for part in np.unique(part_N).tolist()]
    if len(chosen) == 1:
        part, _ = chosen[0]
        return part.numbers, _part_weights(statistics, part, local_N, part.numbers)
    numbers = _union([part.numbers for part, _ in chosen])
    rows = [_part_weights(statistics, part, local_N[places], numbers) for part, places in chosen]
    stacked = sparse.vstack([sparse.csr_array((0, len(numbers))), *rows], format="csr")
    where = np.concatenate([np.empty(0, dtype=np.int64), *(places for _, places in chosen)])
    return numbers, stacked[np.argsort(where)]


def _union(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.unique(np.concatenate([np.empty(0, dtype=np.int32), *parts]))


def _part_weights(
    statistics: Statistics, part: CountedPart, local_N: NDArray[np.integer], numbers: NDArray[np.int32]
) -> sparse.csr_array:
    """Weigh the terms of the documents `local_N` of `part`, in a column for each of `numbers`."""
    ends = np.concatenate([[0], np.cumsum(part.counts.ends[local_N + 1] - part.counts.ends[local_N])])
    column_T = np.searchsorted(numbers, part.numbers).astype(np.int32)
    columns, weights = np.empty(ends[-1], dtype=np.int32), np.empty(ends[-1], dtype=np.float64)
    for first in range(0, len(local_N), _CHUNK):
        rows = local_N[first : first + _CHUNK]
        entries, within = take_entries(part, rows)
        term = part.counts.term[entries]
        length = np.repeat(part.counts.lengths[rows], np.diff(within))
        here = slice(ends[first], ends[first] + within[-1])
        columns[here] = column_T[term]
        weights[here] = statistics.weigh(part.numbers[term], part.counts.count[entries], length)
    return sparse.csr_array((weights, columns, ends), shape=(len(local_N), len(numbers)))


def take_entries(part: CountedPart, local_N: NDArray[np.integer]) -> tuple[Rows | slice, Rows]:
    """Give the entries of the documents `local_N` of `part`, one document after the other, and where each ends."""
    starts = part.counts.ends[local_N]
    lengths = part.counts.ends[local_N + 1] - starts
    ends = np.concatenate([[0], np.cumsum(lengths)])
    if len(local_N) and (np.diff(local_N) == 1).all():
        return slice(int(starts[0]), int(starts[0] + ends[-1])), ends  # read from front to back, nothing picked
    return expand(starts, lengths), ends


def expand(starts: Rows, lengths: Rows) -> Rows:
    """Give the places from each of `starts` on, as many as `lengths` says, one run after the other."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths))


def places_among(numbers: NDArray[np.integer], among: NDArray[np.integer]) -> Rows:
    """Give the place of each of `numbers` in the sorted `among`, its length where it does not stand there."""
    if not len(among):
        return np.zeros(len(numbers), dtype=np.int64)
    place = np.searchsorted(among, numbers)
    return np.where(among[np.minimum(place, len(among) - 1)] == numbers, place, len(among))
