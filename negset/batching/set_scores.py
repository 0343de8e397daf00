"""What the scores and judgements of a published set say of its queries: margins, losses, grades."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.batching.inputs import GradedPairs, ScoredPairs
from negset.batching.view import SetView, document_rows, query_rows
from negset.errors import ConfigError, ContractError, InputError, MissingColumnsError, hint, listed

_TEMPERATURE: Final = 0.05


def scored_pairs(view: SetView, by: str) -> ScoredPairs:
    """Give all pairs of a positive and a hard negative of a query that have scores of `by`, and how far these differ.

    Empty `by` is the score that the set's recipe compared; where the set gives a positive none, it counts as the
    lowest of its query's. Raises ConfigError for a scorer that the set has no scores of, ContractError naming the
    queries with a score that is no number.
    """
    negatives, positives = _own_scores(view) if not by else _named_scores(view, by)
    numbered = document_rows(view)
    left = positives.join(numbered, on="doc_id").select("query_id", pl.col("score").alias("high"), positive="document")
    right = negatives.join(numbered, on="doc_id").select("query_id", "score", "lowest", negative="document")
    pairs = (
        left.join(right, on="query_id")
        .join(query_rows(view), on="query_id")
        .with_columns(margin=pl.coalesce("high", "lowest").cast(pl.Float64) - pl.col("score").cast(pl.Float64))
        .filter(pl.col("margin").is_not_null() & (pl.col("positive") != pl.col("negative")))
        .unique(["query", "positive", "negative"], keep="first")
        .sort("query", "positive", "negative")
    )
    wrong = pairs.filter(~pl.col("margin").is_finite()).get_column("query_id").unique().sort().to_list()
    if wrong:
        message = f"{len(wrong)} queries have scores{f' of {by!r}' if by else ''} that are no numbers: {listed(wrong)}"
        raise ContractError(message)
    query_P, positive_P, negative_P = (
        pairs.get_column(name).cast(pl.Int64).to_numpy() for name in ("query", "positive", "negative")
    )
    return ScoredPairs(query_P, positive_P, negative_P, pairs.get_column("margin").to_numpy())


def _own_scores(view: SetView) -> tuple[pl.DataFrame, pl.DataFrame]:
    negatives = view.tables.negatives.select("query_id", "doc_id", "score", lowest="positive_score")
    return negatives.filter(pl.col("score").is_not_null()), view.tables.positives.select("query_id", "doc_id", "score")


def _named_scores(view: SetView, by: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the scores of the scorer `by`: those of the positives are in the candidates, where these are published."""
    rows = view.published.table("candidates").select("query_id", "doc_id", "is_positive", "scores")
    named = rows.explode("scores").unnest("scores").filter(pl.col("value").is_not_null())
    known = named.get_column("name").unique().sort().to_list()
    if by not in known:
        message = f"the set has no scores of {by!r}{hint(by, known)}; it has: {', '.join(known) or 'none'}"
        raise ConfigError(message)
    chosen = named.filter(pl.col("name") == by).select("query_id", "doc_id", "is_positive", score="value")
    negatives = view.tables.negatives.select("query_id", "doc_id")
    scored = negatives.join(chosen.filter(~pl.col("is_positive")), on=["query_id", "doc_id"])
    lowest = pl.lit(None, dtype=pl.Float32)
    return (
        scored.select("query_id", "doc_id", "score", lowest=lowest),
        chosen.filter("is_positive").select("query_id", "doc_id", "score"),
    )


def query_losses(view: SetView, path: str) -> Floats:
    """Give a loss of each planned query: the mean of its rows in the Parquet at `path`, else that of the set's scores.

    The latter is what a softmax at temperature 0.05 over the query's lowest positive and its negatives gives: the loss
    of the model that the set was mined with. A query without any has the median of the others.
    Raises ConfigError where no query has one, InputError where the file is no such table, ContractError naming the
    queries whose loss is below 0 or no number.
    """
    found = _read_losses(path) if path else _score_losses(view.tables.negatives)
    rows = query_rows(view).join(found, on="query_id", how="left", maintain_order="left").get_column("loss")
    middle = rows.median()
    if middle is None:
        message = f"no query has a loss {f'in {path}' if path else 'by the scores of the set; give the option losses'}"
        raise ConfigError(message)
    loss_Q = rows.fill_null(middle).to_numpy().astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(loss_Q) & (loss_Q >= 0)))
    if len(wrong):
        names = [view.examples.query_ids[row] for row in wrong.tolist()]
        message = f"{len(wrong)} queries have losses that are negative or no numbers: {listed(names)}"
        raise ContractError(message)
    return loss_Q


def _score_losses(negatives: pl.DataFrame) -> pl.DataFrame:
    gap = (pl.col("score").cast(pl.Float64) - pl.col("positive_score").cast(pl.Float64)) / _TEMPERATURE
    gaps = negatives.select("query_id", gap=gap).filter(pl.col("gap").is_not_null())
    # The sum of exponentials is taken from the largest, beside which the positive counts exp(0).
    largest = pl.max_horizontal(pl.col("gap").max(), pl.lit(0.0))
    total = (pl.col("gap") - largest).exp().sum() + (-largest).exp()
    return gaps.group_by("query_id").agg(loss=largest + total.log())


def _read_losses(path: str) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(Path(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{path} is no Parquet of query_id and loss: {error}"
        raise InputError(message) from error
    if not {"query_id", "loss"} <= set(frame.columns):
        raise MissingColumnsError.from_columns(path, ("query_id", "loss"), frame.columns)
    return frame.group_by("query_id").agg(loss=pl.col("loss").cast(pl.Float64).mean())


def graded_positives(view: SetView) -> GradedPairs:
    """Give the positives of the planned queries with the relevance that the set has of each."""
    pairs = (
        view.tables.positives.select("query_id", "doc_id", "relevance")
        .join(document_rows(view), on="doc_id")
        .join(query_rows(view), on="query_id")
        .group_by("query", "document")
        .agg(pl.col("relevance").max())
        .sort("query", "document")
    )
    query_P, document_P, grade_P = (
        pairs.get_column(name).cast(pl.Int64).to_numpy() for name in ("query", "document", "relevance")
    )
    return GradedPairs(query_P, document_P, grade_P)
