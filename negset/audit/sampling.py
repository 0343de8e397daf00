"""Draw negatives of a published set for people to judge, stratified, the same ones for the same seed."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from negset.errors import ConfigError
from negset.lots import id_keys, mix
from negset.publishing.reading import PublishedSet
from negset.text import document_text

LEAST: Final = 2
"""Negatives drawn of a stratum that has so many: a single one would tell nothing of its spread."""
_SPLIT_OFF: Final = " | "


@dataclass(frozen=True)
class Question:
    """A negative to judge, with its query and the query's most relevant positive."""

    query_id: str
    doc_id: str
    positive_id: str
    query: str
    positive: str
    negative: str


def strata_of(negatives: pl.DataFrame) -> pl.DataFrame:
    """Give `query_id`, `doc_id` and `stratum` of each of the set's `negatives`: split, miner, hardest or not."""
    place = pl.when(pl.col("rank") == 1).then(pl.lit("hardest")).otherwise(pl.lit("others"))
    words = [pl.col("split"), pl.col("miner").cast(pl.String), place]
    return negatives.select("query_id", "doc_id", stratum=pl.concat_str(words, separator=_SPLIT_OFF))


def draw_sample(negatives: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    """Draw `size` of the set's `negatives` in proportion to their strata, at least two of each where it has them.

    Gives `query_id`, `doc_id` and `stratum` in an order by lot, so that a rater who stops early has seen some of all.
    Raises ConfigError for a size below 1.
    """
    if size < 1:
        message = f"the sample has {size} negatives; give at least 1"
        raise ConfigError(message)
    pairs = strata_of(negatives)
    salt = id_keys([f"{seed}:votes"])
    bits = mix(mix(id_keys(pairs["query_id"]) ^ salt) + id_keys(pairs["doc_id"]))
    lots = pairs.with_columns(lot=pl.Series(bits)).sort("stratum", "lot", "query_id", "doc_id")
    share = size * pl.len().over("stratum") / max(pairs.height, 1)
    wanted = pl.max_horizontal(share.ceil(), pl.lit(LEAST))
    least = pl.int_range(pl.len()).over("stratum")
    ranked = lots.with_columns(turn=least, wanted=wanted)
    # What rounding up gave too much is taken from the ends of the largest strata.
    kept = ranked.filter(pl.col("turn") < pl.col("wanted")).with_columns(
        spare=(pl.col("turn") + 1) / pl.len().over("stratum"), floor=pl.col("turn") < LEAST
    )
    chosen = kept.sort(pl.col("floor").not_(), "spare", "lot").head(max(size, int(kept["floor"].sum())))
    return chosen.sort("lot", "query_id", "doc_id").select("query_id", "doc_id", "stratum")


def ask_questions(published: PublishedSet, sample: pl.DataFrame) -> list[Question]:
    """Put the texts of `published` to each pair of `sample`, in its order."""
    documents = published.table("documents")
    texts = dict(
        zip(
            documents["doc_id"].to_list(),
            (document_text(title, text) for title, text in documents.select("title", "text").iter_rows()),
            strict=True,
        )
    )
    queries = dict(published.table("queries").select("query_id", "text").iter_rows())
    best = published.table("positives").sort("query_id", pl.col("relevance") * -1, "doc_id")
    positives = dict(
        best.unique("query_id", keep="first", maintain_order=True).select("query_id", "doc_id").iter_rows()
    )
    return [
        Question(query, doc, positives[query], queries[query], texts[positives[query]], texts[doc])
        for query, doc in sample.select("query_id", "doc_id").iter_rows()
    ]


def sample_counts(sample: pl.DataFrame) -> dict[str, int]:
    """Count the pairs drawn of each stratum."""
    counts = sample.group_by("stratum").len().sort("stratum")
    return {str(stratum): int(np.int64(count)) for stratum, count in counts.iter_rows()}
