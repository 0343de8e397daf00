"""What the offline teachers know of a pair: its place among the query's candidates, words in common, lengths.

A feature depends on the pair, the labels left aside, and on nothing that stands beside it in a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from negset.arrays import Floats, Rows
from negset.mining.miner import MiningInputs
from negset.mining.recipe import UNSCORED_MINERS
from negset.mining.tokens import tokenise_texts
from negset.teaching.teacher import Pairs, TeachingInputs
from negset.text import document_texts
from schemas.config import Bm25Config

WORDS: Final = ("contained", "weighted_contained", "jaccard", "document_share", "log_length", "log_length_ratio")
"""Names of the features that the texts give."""


@dataclass(frozen=True)
class Spread:
    """How a miner's scores of the candidates of each query are spread; NaN for a query without any."""

    mean_Q: Floats
    deviation_Q: Floats
    lowest_Q: Floats

    def standardise(self, score_P: Floats, query_P: Rows) -> Floats:
        """Give scores in deviations from their query's mean.

        A pair that the miner has no score for lies below what it proposed: it counts as the lowest candidate. What
        cannot be placed is 0.
        """
        filled_P = np.where(np.isnan(score_P), self.lowest_Q[query_P], score_P)
        deviation_P = self.deviation_Q[query_P]
        placed_P = (filled_P - self.mean_Q[query_P]) / np.where(deviation_P > 0, deviation_P, 1.0)
        return np.where((deviation_P > 0) & np.isfinite(placed_P), placed_P, 0.0)


@dataclass(frozen=True)
class Vocabulary:
    """How many of `documents` hold each of the sorted `terms`."""

    terms: pl.Series
    frequency_T: Rows
    documents: int

    def weights(self, terms: pl.Series) -> Floats:
        """Give the idf of `terms` as Lucene's BM25 has it; a term of no document weighs most."""
        known = pl.DataFrame({"term": self.terms, "frequency": self.frequency_T})
        frequency = pl.DataFrame({"term": terms}).join(known, on="term", how="left", maintain_order="left")["frequency"]
        found_T = frequency.fill_null(0).to_numpy()
        return np.log1p((self.documents - found_T + 0.5) / (found_T + 0.5))


@dataclass(frozen=True)
class Features:
    """Features that are ready: `names` in the order of the columns of what `of` gives."""

    inputs: TeachingInputs
    spreads: dict[str, Spread]
    vocabulary: Vocabulary
    language: Bm25Config

    @property
    def names(self) -> tuple[str, ...]:
        """Name the columns."""
        return (*(f"z_{miner}" for miner in self.spreads), *WORDS)

    def of(self, pairs: Pairs) -> Floats:
        """Give the features of `pairs`, a row for each."""
        mined = [
            spread.standardise(self.inputs.miner_scores(miner, pairs), pairs.query)
            for miner, spread in self.spreads.items()
        ]
        return np.column_stack([*mined, *self._words(pairs)]) if len(pairs) else np.empty((0, len(self.names)))

    def _words(self, pairs: Pairs) -> list[Floats]:
        query_U, query_P = np.unique(pairs.query, return_inverse=True)
        doc_V, doc_P = np.unique(pairs.doc, return_inverse=True)
        texts = pl.Series([*self.inputs.query_texts(query_U), *self.inputs.document_texts(doc_V)], dtype=pl.String)
        terms, token, lengths = tokenise_texts(self.language, texts)
        held = _term_sets(token, lengths, len(terms))
        weight_T = self.vocabulary.weights(terms)
        asked, stored = held[query_P], held[len(query_U) + doc_P]
        common = asked.multiply(stored).tocsr()
        shared_P, asked_P, stored_P = (_counts(part) for part in (common, asked, stored))
        length_P = lengths[len(query_U) + doc_P].astype(np.float64)
        return [
            _ratio(shared_P, asked_P),
            _ratio(common @ weight_T, asked @ weight_T),
            _ratio(shared_P, asked_P + stored_P - shared_P),
            _ratio(shared_P, stored_P),
            np.log1p(length_P),
            np.log1p(length_P) - np.log1p(lengths[query_P]),
        ]


def scoring_miners(inputs: MiningInputs) -> tuple[str, ...]:
    """Name the configured miners that give scores, each once, in their order."""
    return tuple(dict.fromkeys(name for name in inputs.config.miners if name not in UNSCORED_MINERS))


def open_features(inputs: TeachingInputs, miners: Sequence[str]) -> Features:
    """Go through candidates and corpus once, for the spread of each of the `miners` and the weights of terms."""
    language = inputs.mining.config.bm25
    return Features(inputs, spreads_of(inputs, miners), _vocabulary(inputs.mining, language), language)


def spreads_of(inputs: TeachingInputs, miners: Sequence[str]) -> dict[str, Spread]:
    """Give the spread of the scores of each of `miners` over the candidates."""
    queries = inputs.mining.snapshot.queries().height
    spreads = {name: Spread(*(np.full(queries, np.nan) for _ in range(3))) for name in miners}
    for block in inputs.candidates():  # holds whole queries, so that each is summed at once
        rows = pl.DataFrame({"query": block.query, **{name: inputs.miner_scores(name, block) for name in miners}})
        for name, spread in spreads.items():
            found = (
                rows.select("query", score=pl.col(name).fill_nan(None))
                .drop_nulls()
                .group_by("query")
                .agg(mean=pl.col("score").mean(), deviation=pl.col("score").std(ddof=0), lowest=pl.col("score").min())
            )
            row_U = found["query"].to_numpy()
            for kept_Q, column in zip(
                (spread.mean_Q, spread.deviation_Q, spread.lowest_Q), ("mean", "deviation", "lowest"), strict=True
            ):
                kept_Q[row_U] = found[column].to_numpy()
    return spreads


def _vocabulary(inputs: MiningInputs, language: Bm25Config) -> Vocabulary:
    counted, documents = pl.DataFrame(schema={"term": pl.String, "frequency": pl.Int64}), 0
    for name in inputs.snapshot.partitions():
        texts = document_texts(inputs.snapshot.documents(name))
        terms, token, lengths = tokenise_texts(language, texts)
        frequency_T = np.bincount(_term_sets(token, lengths, len(terms)).indices, minlength=len(terms))
        part = pl.DataFrame({"term": terms, "frequency": frequency_T.astype(np.int64)})
        counted = pl.concat([counted, part]).group_by("term").agg(pl.col("frequency").sum())
        documents += len(texts)
    ordered = counted.sort("term")
    return Vocabulary(ordered["term"], ordered["frequency"].to_numpy(), documents)


def _term_sets(token: Rows, lengths: Rows, terms: int) -> csr_array:
    """Give a row of zeros and ones for each text: which of the `terms` it holds."""
    first = np.concatenate([[0], np.cumsum(lengths)])
    held = csr_array((np.ones(len(token)), token, first), shape=(len(lengths), terms))
    held.sum_duplicates()
    held.data[:] = 1.0
    return held


def _counts(rows: csr_array) -> Floats:
    counts: Floats = np.diff(rows.indptr).astype(np.float64)
    return counts


def _ratio(part_P: Floats, whole_P: Floats) -> Floats:
    """Divide; nothing of nothing is 0."""
    found_P: Floats = np.divide(part_P, whole_P, out=np.zeros(len(part_P)), where=whole_P > 0)
    return found_P
