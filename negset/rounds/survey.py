"""The best documents of each labelled query by the vectors of one model: what rounds are compared by.

One search says where the positives are (and so nDCG and the like), and which documents a miner would look at first.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix, Rows
from negset.fingerprint import fingerprint
from negset.probing.collection import ProbeCollection
from negset.probing.ranking import Values, summarise_ranks
from negset.search import ranks, search_exact
from negset.sieve import VectorRows
from negset.store import Store
from schemas.refs import SurveyRef, VectorsRef

VERSION: Final = 1
QUERIES: Final = "queries.npy"
POOL: Final = "pool.npy"
NONE: Final = -1
"""Stands in a pool where the corpus has no more documents."""


@dataclass(frozen=True)
class Survey:
    """The pool of each of the query rows `queries`: document rows, best first, ties to the smaller, (Q, depth)."""

    queries: Rows
    pool_QK: NDArray[np.int32]

    @property
    def depth(self) -> int:
        """Say how many documents a query has."""
        return int(self.pool_QK.shape[1])

    def of(self, rows: Rows) -> NDArray[np.int32]:
        """Give the pools of the query `rows`, which are among those surveyed."""
        return self.pool_QK[np.searchsorted(self.queries, rows)]


def survey_vectors(queries_QD: Matrix, documents_ND: VectorRows, rows: Rows, depth: int) -> Survey:
    """Search `depth` documents for each of the query `rows`, whose vectors are `queries_QD`."""
    hits = search_exact(queries_QD, documents_ND, np.full(len(rows), depth, dtype=np.int64))
    pool_QK = np.full((len(rows), depth), NONE, dtype=np.int32)
    pool_QK[hits.query, ranks(hits.query) - 1] = hits.doc
    return Survey(rows, pool_QK)


def survey_fingerprint(queries: VectorsRef, documents: VectorsRef, splits: Sequence[str], depth: int) -> str:
    """Name the survey of the labelled queries of `splits` by these vectors."""
    return fingerprint("survey", VERSION, queries.content, documents.content, sorted(splits), depth)


def commit_survey(store: Store, key: str, survey: Survey) -> SurveyRef:
    """Keep `survey` under the fingerprint `key`."""
    content = hashlib.sha256(survey.queries.tobytes() + survey.pool_QK.tobytes()).hexdigest()
    with store.staging() as staged:
        np.save(staged / QUERIES, survey.queries, allow_pickle=False)
        np.save(staged / POOL, survey.pool_QK, allow_pickle=False)
        return store.commit(SurveyRef, key, content, len(survey.queries), staged)


def open_survey(store: Store, ref: SurveyRef) -> Survey:
    """Open the survey of `ref` after checking its files."""
    folder = store.open(SurveyRef.kind, ref.fingerprint)
    return Survey(*(np.load(folder / name, allow_pickle=False) for name in (QUERIES, POOL)))


def positive_ranks(collection: ProbeCollection, survey: Survey, rows: Rows) -> Rows:
    """Give the rank of each labelled positive of the query `rows`, one after the other; depth + 1 beyond the pool."""
    place, documents = collection.positives.take(rows)
    same_PK = survey.of(rows)[place] == documents[:, None]
    return np.where(same_PK.any(axis=1), same_PK.argmax(axis=1) + 1, survey.depth + 1).astype(np.int64)


def first_ranks(collection: ProbeCollection, survey: Survey, rows: Rows) -> Rows:
    """Give the rank of the best labelled positive of each of the query `rows`; depth + 1 where none is in the pool."""
    place, _ = collection.positives.take(rows)
    best_Q = np.full(len(rows), survey.depth + 1, dtype=np.int64)
    np.minimum.at(best_Q, place, positive_ranks(collection, survey, rows))
    return best_Q


def measures(collection: ProbeCollection, survey: Survey, rows: Rows) -> dict[str, Values]:
    """Give nDCG@10, MRR@10 and recall@100 of each of the query `rows`, over the whole corpus."""
    return summarise_ranks(collection, rows, positive_ranks(collection, survey, rows))


def staleness(former: Survey, latter: Survey, rows: Rows) -> Floats:
    """Give for each of the query `rows` the share of its former pool that the latter has lost."""
    width = np.int64(max(former.pool_QK.max(initial=0), latter.pool_QK.max(initial=0)) + 1)
    before_QK, after_QK = (one.of(rows).astype(np.int64) for one in (former, latter))
    there_QK = before_QK != NONE
    offset_Q1 = (np.arange(len(rows), dtype=np.int64) * width)[:, None]
    kept_QK = np.isin(before_QK + offset_Q1, (after_QK + offset_Q1)[after_QK != NONE]) & there_QK
    lost_Q: Floats = 1.0 - kept_QK.sum(axis=1) / np.maximum(there_QK.sum(axis=1), 1)
    return lost_Q
