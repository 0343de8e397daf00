"""The held-out queries that training changed most, with what was found for them before and after."""

from dataclasses import dataclass

import polars as pl

from negset.training.reports.regressions import MEASURE


@dataclass(frozen=True)
class FoundDocument:
    """A document in a list of results."""

    doc_id: str
    rank: int
    score: float
    positive: bool


@dataclass(frozen=True)
class ChangedQuery:
    """A query, its measure before and after, and its first results by both models."""

    query_id: str
    before: float
    after: float
    positives: tuple[str, ...]
    found_before: tuple[FoundDocument, ...]
    found_after: tuple[FoundDocument, ...]


def most_changed(
    per_query: pl.DataFrame, rankings: pl.DataFrame, positives: pl.DataFrame, count: int
) -> tuple[list[ChangedQuery], list[ChangedQuery]]:
    """Give the `count` queries that gained most, then those that lost most; fewer where fewer changed that way.

    `per_query` has nDCG@10 of each before and after, `rankings` (query_id, doc_id, model, rank, score) what both
    models found, `positives` (query_id, doc_id) the labels. Equal changes are in the order of ids.
    """
    # Rounded, so that equal changes are equal whatever the last bits of a difference are.
    change = (pl.col(f"{MEASURE}_after") - pl.col(f"{MEASURE}_before")).round(9)
    changed = per_query.with_columns(change=change).sort("query_id")
    gained = changed.filter(pl.col("change") > 0).sort("change", descending=True, maintain_order=True).head(count)
    lost = changed.filter(pl.col("change") < 0).sort("change", maintain_order=True).head(count)
    return _queries(gained, rankings, positives), _queries(lost, rankings, positives)


def _queries(rows: pl.DataFrame, rankings: pl.DataFrame, positives: pl.DataFrame) -> list[ChangedQuery]:
    return [_query(row, rankings, positives) for row in rows.iter_rows(named=True)]


def _query(row: dict[str, object], rankings: pl.DataFrame, positives: pl.DataFrame) -> ChangedQuery:
    mine = pl.col("query_id") == row["query_id"]
    labelled = sorted(set(positives.filter(mine).get_column("doc_id").to_list()))
    found = rankings.filter(mine).with_columns(pl.col("model").cast(pl.String)).sort("rank")
    lists = [
        tuple(
            FoundDocument(doc_id, rank, score, doc_id in labelled)
            for doc_id, rank, score in found.filter(pl.col("model") == model)
            .select("doc_id", "rank", "score")
            .iter_rows()
        )
        for model in ("before", "after")
    ]
    before, after = (float(str(row[f"{MEASURE}_{when}"])) for when in ("before", "after"))
    return ChangedQuery(str(row["query_id"]), before, after, tuple(labelled), lists[0], lists[1])
