"""The tables of a set as numbers: who may be trained on, with which positives, negatives and known positives.

Documents with equal normalised texts are one document here, so that a twin of a positive is that positive.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ConfigError, MissingColumnsError, listed
from negset.text import document_texts, text_digests

Rows = NDArray[np.int64]
_PAIR: Final = {"query_id": pl.String, "doc_id": pl.String}


@dataclass(frozen=True)
class Groups:
    """A list of row numbers for each of n places: place i has `rows[offsets[i]:offsets[i + 1]]`."""

    offsets: Rows
    rows: Rows

    def sizes(self) -> Rows:
        """Count the rows of each place."""
        return np.diff(self.offsets)

    def take(self, places: Rows) -> tuple[Rows, Rows]:
        """Give the rows of `places` one after the other, and for each the index in `places` it belongs to."""
        index = self.entries(places)
        return np.repeat(np.arange(len(places)), self.sizes()[places]), self.rows[index]

    def entries(self, places: Rows) -> Rows:
        """Give the positions in `rows` of all that belongs to `places`, in their order."""
        sizes = self.sizes()[places]
        starts = np.repeat(self.offsets[places] - np.r_[0, np.cumsum(sizes)[:-1]], sizes) if len(places) else sizes
        return starts + np.arange(int(sizes.sum()))


@dataclass(frozen=True)
class SetTables:
    """The tables of a published set that training reads, in the registered columns.

    `false_negatives` are pairs that no batch may hold against each other, where the trainer is to mask them;
    `candidates` hold what a teacher said of positives, where the trainer is to learn from it. `replayed` are pairs
    beyond the set's negatives that a batch plan may bring, from older versions of the set.
    """

    queries: pl.DataFrame
    documents: pl.DataFrame
    positives: pl.DataFrame
    negatives: pl.DataFrame
    false_negatives: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PAIR))
    candidates: pl.DataFrame = field(default_factory=pl.DataFrame)
    replayed: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PAIR))


@dataclass(frozen=True)
class Examples:
    """What one training run learns from; rows are numbers of queries and of documents, both sorted by id.

    `positives` are the query's own labels; `known` are all that must not be a negative of it; `negatives`
    are its hard negatives by rank, known positives removed, and `negative_weights` what the set lets each of them
    weigh. `left_out` counts queries by reason.
    """

    query_ids: list[str]
    query_texts: list[str]
    document_ids: list[str]
    document_texts: list[str]
    positives: Groups
    negatives: Groups
    negative_weights: NDArray[np.float32]
    known: Groups
    left_out: Mapping[str, int]


def build_examples(
    tables: SetTables,
    known: pl.DataFrame,
    held_out_texts: pl.Series,
    *,
    split: str,
    negatives: int = 0,
    in_batch: bool = True,
) -> Examples:
    """Number the queries of `split` that may be trained on, and the documents that they use.

    `known` (query_id, doc_id) are known positives beyond those of the set; what `tables` has of false negatives
    counts as them. A query whose normalised text is one of `held_out_texts` is left out, as is one without a positive
    in the documents and, where it would have no candidate but its positive (not `in_batch`), one without a negative.
    `negatives` above zero keeps the first so many of each query.
    Raises ConfigError where `split` has no query or nothing is left to train on.
    """
    _check_columns(tables)
    documents = _number_documents(tables.documents)
    candidates = _queries_of_split(tables.queries, split)
    pairs = tables.positives.select("query_id", "doc_id").join(documents, on="doc_id").unique(["query_id", "row"])
    forbidden = _spread_over_texts(
        pl.concat(
            [
                pairs.select("query_id", "row"),
                *(_rows(masked, documents) for masked in (known, tables.false_negatives)),
            ]
        ),
        tables.queries,
    )
    hard = _hard_negatives(tables.negatives, documents, forbidden, negatives)
    reasons = _reasons(candidates, pairs, hard, held_out_texts, in_batch)
    kept = candidates.filter(reasons.is_null()).select("query_id", "text").with_row_index("query")
    if kept.is_empty():
        counted = ", ".join(f"{reason}: {count}" for reason, count in sorted(Counter(reasons.to_list()).items()))
        message = f"no query of split {split!r} can be trained on ({counted}). Choose train.split and train.held_out"
        raise ConfigError(message)
    brought = _rows(tables.replayed, documents)
    used = pl.concat([pairs.select("query_id", "row"), hard.select("query_id", "row"), brought])
    used = used.join(kept, on="query_id", how="semi").select("row").unique().sort("row").with_row_index("doc")
    texts = used.join(documents.unique("row", keep="first", maintain_order=True), on="row", maintain_order="left")

    def coded(frame: pl.DataFrame) -> pl.DataFrame:
        numbered = frame.join(used, on="row", maintain_order="left").join(kept, on="query_id", maintain_order="left")
        return numbered.sort("query", maintain_order=True)

    def grouped(frame: pl.DataFrame) -> Groups:
        return _group(coded(frame), kept.height)

    chosen = coded(hard)

    return Examples(
        query_ids=kept.get_column("query_id").to_list(),
        query_texts=kept.get_column("text").to_list(),
        document_ids=texts.get_column("doc_id").to_list(),
        document_texts=texts.get_column("content").to_list(),
        positives=grouped(pairs.sort("row")),
        negatives=_group(chosen, kept.height),
        negative_weights=_weights(chosen),
        known=grouped(forbidden.sort("row")),
        left_out=dict(sorted(Counter(reason for reason in reasons.to_list() if reason).items())),
    )


def document_rows(documents: pl.DataFrame, examples: Examples) -> pl.DataFrame:
    """Give `doc_id` and `doc`, the row in `examples`, of each of `documents` that is used there; twins share a row."""
    numbered = _number_documents(documents).select("doc_id", "row")
    used = pl.DataFrame({"doc_id": examples.document_ids}).with_row_index("doc").join(numbered, on="doc_id")
    return numbered.join(used.select("row", "doc"), on="row").select("doc_id", "doc").sort("doc_id")


def _hard_negatives(
    negatives: pl.DataFrame, documents: pl.DataFrame, forbidden: pl.DataFrame, most: int
) -> pl.DataFrame:
    """Give each query's `negatives` by rank, each document once, without pairs that are `forbidden`; 0 for all."""
    return (
        negatives.join(documents, on="doc_id")
        .join(forbidden, on=["query_id", "row"], how="anti")
        .sort("query_id", "rank")
        .unique(["query_id", "row"], keep="first", maintain_order=True)
        .filter((pl.int_range(pl.len()).over("query_id") < most) | (most == 0))
    )


def _check_columns(tables: SetTables) -> None:
    needs = {
        "queries": ["query_id", "text", "split"],
        "documents": ["doc_id", "title", "text"],
        "positives": ["query_id", "doc_id"],
        "negatives": ["query_id", "doc_id", "rank"],
    }
    for table, columns in needs.items():
        found = getattr(tables, table).columns
        if not set(columns) <= set(found):
            raise MissingColumnsError.from_columns(table, columns, found)


def _queries_of_split(queries: pl.DataFrame, split: str) -> pl.DataFrame:
    chosen = queries.filter(pl.col("split") == split).sort("query_id")
    if chosen.is_empty():
        known = queries.get_column("split").unique().sort().to_list()
        message = f"no query of the set has split {split!r}; its splits are {listed(known)}. Set train.split"
        raise ConfigError(message)
    return chosen


def _number_documents(documents: pl.DataFrame) -> pl.DataFrame:
    """Give `doc_id`, its `content` and its `row`: the place of the smallest id with the same normalised text."""
    ordered = documents.sort("doc_id").select("doc_id", "title", "text").with_row_index("place")
    contents = document_texts(ordered)
    return ordered.select(
        "doc_id",
        contents.alias("content"),
        pl.col("place").min().over(pl.Series(text_digests(contents), dtype=pl.Binary)).alias("row"),
    )


def _rows(pairs: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    return pairs.select("query_id", "doc_id").join(documents, on="doc_id").select("query_id", "row")


def _spread_over_texts(pairs: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """Give each query the pairs of every query with the same normalised text."""
    digests = queries.select("query_id", digest=_digests(queries))
    shared = pairs.join(digests, on="query_id").select("digest", "row").unique()
    return digests.join(shared, on="digest").select("query_id", "row")


def _digests(queries: pl.DataFrame) -> pl.Series:
    return pl.Series(text_digests(queries.get_column("text")), dtype=pl.Binary)


def _reasons(
    queries: pl.DataFrame, positives: pl.DataFrame, hard: pl.DataFrame, held_out_texts: pl.Series, in_batch: bool
) -> pl.Series:
    """Give for each of `queries` why it is left out, or null."""
    held_out = set(text_digests(held_out_texts))
    leaked = _digests(queries).is_in(pl.Series(sorted(held_out), dtype=pl.Binary).implode())
    return queries.select(
        pl.when(leaked)
        .then(pl.lit("held_out_text"))
        .when(~pl.col("query_id").is_in(positives.get_column("query_id").implode()))
        .then(pl.lit("no_positive"))
        .when(pl.lit(not in_batch) & ~pl.col("query_id").is_in(hard.get_column("query_id").implode()))
        .then(pl.lit("no_negative"))
    ).to_series()


def _weights(chosen: pl.DataFrame) -> NDArray[np.float32]:
    """Give the weight of each row, 1 in a set without weights."""
    if "weight" not in chosen.columns:
        return np.ones(chosen.height, dtype=np.float32)
    return chosen.get_column("weight").to_numpy().astype(np.float32)


def _group(coded: pl.DataFrame, places: int) -> Groups:
    counts = np.bincount(coded.get_column("query").to_numpy(), minlength=places)
    return Groups(np.r_[0, np.cumsum(counts)].astype(np.int64), coded.get_column("doc").to_numpy().astype(np.int64))
