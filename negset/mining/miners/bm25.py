"""Propose documents by Lucene's BM25, exactly, from the term counts of one partition and corpus-wide statistics.

The score of a pair is the sum of the query's term counts times the document's weights, in the order of the
terms, in float64, rounded to 6 digits. Only documents that share a term with the query are proposed.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.mining.postings import QueryTerms, best_documents, open_postings, places_among, take_entries
from negset.mining.statistics import CountedPart, Statistics
from negset.mining.term_counts import count_texts, term_places
from negset.search import Hits, canonical

VERSION = 1

MEMORY: Final = 16 << 20
"""Bytes that scoring of pairs works in, unless it is told otherwise; more than the caches hold makes it slower."""
_ENTRY: Final = 40  # bytes for each term of a document that is scored
_BLOCKS: Final = 16  # blocks of queries whose terms are remembered from partition to partition

CountQueries = Callable[[Queries], QueryTerms]


def identity(inputs: MiningInputs) -> object:
    """Give the content of the term statistics, which covers k1, b, stemmer and stop words."""
    return {"statistics": _statistics(inputs).content}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Take the term statistics; raise ConfigError where there are none."""
    statistics = _statistics(inputs)
    count = remembered(statistics)
    return OpenMiner(
        open_partition=partial(_open_partition, statistics, count), score_pairs=partial(score_pairs, statistics, count)
    )


def remembered(statistics: Statistics) -> CountQueries:
    """Give a function that counts the terms of queries, and of the same ones again at once."""
    count = lru_cache(_BLOCKS)(partial(count_query_terms, statistics))
    return lambda queries: count(tuple(queries.text.to_list()))


def count_query_terms(statistics: Statistics, texts: tuple[str, ...]) -> QueryTerms:
    """Count the terms of each of `texts`; terms of no document are left out."""
    counts = count_texts(statistics.config, pl.Series(texts, dtype=pl.String))
    number = term_places(counts.terms, statistics.terms)[counts.term]
    known = number >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[counts.ends]
    return QueryTerms(ends, number[known], counts.count[known])


def score_pairs(
    statistics: Statistics,
    count: CountQueries,
    queries: Queries,
    documents: Documents,
    query_P: Rows,
    doc_P: Rows,
    memory: int = MEMORY,
) -> Floats:
    """Give the canonical score of each pair: by the same sums as a search, so a pair has one score. 0 without a match.

    Reads the counts of the documents that are asked for, partition by partition, and works in about `memory`
    bytes beside the pairs themselves.
    """
    terms = count(queries)
    wanted_V = np.unique(terms.number)
    part_P, local_P = (places[documents.rows[doc_P]] for places in statistics.places)
    scores_P = np.zeros(len(query_P), dtype=np.float64)
    by_query_P = np.argsort(query_P, kind="stable")
    for number in np.unique(part_P).tolist():
        part = statistics.open_part(number)
        place_T = places_among(part.numbers, wanted_V)
        here = by_query_P[part_P[by_query_P] == number]
        for portion in _portions(part, local_P[here], query_P[here], len(wanted_V), memory):
            pairs = here[portion]
            scores_P[pairs] = _score(statistics, part, place_T, wanted_V, terms, query_P[pairs], local_P[pairs])
    return canonical(scores_P)


def _statistics(inputs: MiningInputs) -> Statistics:
    if inputs.statistics is None:
        message = "the miner 'bm25' needs term statistics: prepare them before mining"
        raise ConfigError(message)
    return inputs.statistics


def _open_partition(statistics: Statistics, count: CountQueries, documents: Documents) -> Search:
    postings = open_postings(statistics, documents.rows, documents.created)

    def search(queries: Queries) -> Hits:
        return best_documents(postings, count(queries), queries.depths, queries.until)

    return search


def _portions(part: CountedPart, local_P: Rows, query_P: Rows, terms: int, memory: int) -> Iterator[slice]:
    """Cut pairs, sorted by query, so that the terms of their documents and the table of their queries fit `memory`."""
    entries_P = np.cumsum(part.counts.ends[local_P + 1] - part.counts.ends[local_P])
    most_queries = max(memory // 2 // (4 * (terms + 1)), 1)
    start = 0
    while start < len(local_P):
        before = entries_P[start - 1] if start else 0
        by_entries = int(np.searchsorted(entries_P, before + memory // 2 // _ENTRY, side="right"))
        by_queries = int(np.searchsorted(query_P, query_P[start] + most_queries))
        stop = max(min(by_entries, by_queries), start + 1)
        yield slice(start, stop)
        start = stop


def _score(
    statistics: Statistics,
    part: CountedPart,
    place_T: Rows,
    wanted_V: Rows,
    terms: QueryTerms,
    query_P: Rows,
    local_P: Rows,
) -> Floats:
    """Sum up the terms that the query and the document of each pair share, in their order."""
    entries, ends = take_entries(part, local_P)
    number = part.counts.term[entries]
    first = int(query_P[0])
    table_QV = _query_table(terms, wanted_V, first, int(query_P[-1]) + 1)
    times = table_QV.ravel()[place_T[number] + np.repeat((query_P - first) * table_QV.shape[1], np.diff(ends))]
    shared = np.flatnonzero(times)
    pair = np.searchsorted(ends, shared, side="right") - 1
    count = part.counts.count[entries][shared] if isinstance(entries, slice) else part.counts.count[entries[shared]]
    weight = statistics.weigh(part.numbers[number[shared]], count, part.counts.lengths[local_P[pair]])
    sums = np.bincount(pair, weights=weight * times[shared], minlength=len(local_P))
    return np.asarray(sums, dtype=np.float64)


def _query_table(terms: QueryTerms, wanted_V: Rows, first: int, stop: int) -> NDArray[np.int32]:
    """Give how often the queries from `first` to `stop` have each of the terms `wanted_V`; the last column is 0."""
    ends = terms.ends[first : stop + 1]
    entries = slice(ends[0], ends[-1])
    table_QV = np.zeros((stop - first, len(wanted_V) + 1), dtype=np.int32)
    query = np.repeat(np.arange(stop - first), np.diff(ends))
    table_QV[query, np.searchsorted(wanted_V, terms.number[entries])] = terms.count[entries]
    return table_QV
