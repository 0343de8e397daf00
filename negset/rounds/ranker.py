"""AR2 (Zhang et al. 2022, arXiv 2110.03611): a ranker learns what the retriever proposes, then teaches the retriever.

Without a cross-encoder (`cross_ranker`) the ranker is the teacher `relevance`, fitted anew in each round on the labels
beside what the retriever of that moment proposes: the phase of the ranker. It is small (words in common, and each
miner's score in units of the query's candidates, a logistic regression over both) and scores a query by a model that
was fitted on other queries.
"""

from typing import Final

import numpy as np
import polars as pl
from scipy.special import logit

from negset.arrays import Floats
from negset.probing.collection import ProbeCollection
from negset.teaching.scoring import Scores
from negset.teaching.teacher import Pairs, pack
from negset.training.examples import Examples, SetTables, document_rows
from negset.training.signals import TeacherScores

NEAREST: Final = 1e-6
"""How near a probability may come to 0 or 1 before its odds are taken: scores have 6 digits."""


def ranker_scores(
    scores: Scores, collection: ProbeCollection, tables: SetTables, examples: Examples, *, bare: bool = False
) -> TeacherScores:
    """Give the log-odds that the ranker gives the positives and negatives of a set, by rows of `examples`.

    `scores` are its probabilities for rows of the `collection`, or log-odds where they are `bare`. Of twins, documents
    of equal text, the larger counts; a pair that it did not score has none.
    """
    named = pl.concat([table.select("query_id", "doc_id") for table in (tables.positives, tables.negatives)]).unique()
    queries = pl.DataFrame({"query_id": collection.queries["query_id"]}).with_row_index("query")
    documents = pl.DataFrame({"doc_id": collection.doc_ids}).with_row_index("doc")
    rows = named.join(queries, on="query_id").join(documents, on="doc_id")
    pairs = Pairs(*(rows.get_column(name).to_numpy().astype(np.int64) for name in ("query", "doc")))
    said = scores.of(pack(pairs, len(collection.doc_ids)))
    given = said if bare else log_odds(said)
    trained = pl.DataFrame({"query_id": examples.query_ids}).with_row_index("row")
    width = len(examples.document_ids)
    key = pl.col("row").cast(pl.Int64) * width + pl.col("place").cast(pl.Int64)
    coded = (
        rows.select("query_id", "doc_id", value=pl.Series(given))
        .filter(pl.col("value").is_finite())
        .join(trained, on="query_id")
        .join(document_rows(tables.documents, examples).rename({"doc": "place"}), on="doc_id")
        .select("value", key=key)
        .group_by("key")
        .agg(pl.col("value").max())
        .sort("key")
    )
    keys, values = coded.get_column("key").to_numpy(), coded.get_column("value").to_numpy()
    return TeacherScores(width, keys.astype(np.int64), values.astype(np.float32))


def log_odds(probability_P: Floats) -> Floats:
    """Give the log of the odds; what is not known stays NaN."""
    odds_P: Floats = logit(np.clip(probability_P, NEAREST, 1 - NEAREST))
    return odds_P


def fooled_share(scores: TeacherScores, examples: Examples) -> float | None:
    """Give the share of the scored negatives that the ranker takes for as relevant as its query's lowest positive.

    None where no negative has a score beside that of a positive.
    """
    queries = np.arange(len(examples.query_ids))
    query_P, positive_P = examples.positives.take(queries)
    query_N, negative_N = examples.negatives.take(queries)
    lowest_Q = np.full(len(queries), np.nan)
    np.fmin.at(lowest_Q, query_P, _values(scores, query_P, positive_P))
    given_N, least_N = _values(scores, query_N, negative_N), lowest_Q[query_N]
    known_N = np.isfinite(given_N) & np.isfinite(least_N)
    return round(float((given_N >= least_N)[known_N].mean()), 6) if known_N.any() else None


def _values(scores: TeacherScores, query_P: np.ndarray, doc_P: np.ndarray) -> Floats:
    wanted_P = query_P * scores.documents + doc_P
    place_P = np.minimum(np.searchsorted(scores.keys, wanted_P), max(len(scores.keys) - 1, 0))
    if not len(scores.keys):
        return np.full(len(wanted_P), np.nan)
    return np.where(scores.keys[place_P] == wanted_P, scores.values[place_P].astype(np.float64), np.nan)
