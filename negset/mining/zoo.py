"""A vote of several scorers on a candidate: the mean of the places that each gives it in its query, and their spread.

A place runs from 0, the last of the query's candidates that the scorer scored, to 1, the first; ties share the mean
of their places, and a scorer that scored one candidate, or all alike, says .5. So no scale of scores outweighs
another. Coarse labels of "Event-driven Real-time Retrieval in Web Search" (arXiv 2312.00372); the form is ours.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from pydantic import Field, field_validator

from negset.mining.rules import RankersParams

LEAST: Final = 3
"""Scorers that must have scored a candidate; with fewer there is no vote on it."""


class ZooParams(RankersParams):
    """Who votes."""

    miners: str = Field(
        "dense,bm25,relevance", description="miners and teachers that vote, three or more, separated by commas"
    )

    @field_validator("miners")
    @classmethod
    def _enough(cls, value: str) -> str:
        names = {name.strip() for name in value.split(",") if name.strip()}
        if len(names) < LEAST:
            message = f"names {len(names)} scorers; a vote takes {LEAST} or more"
            raise ValueError(message)
        return value


def add_places(candidates: pl.LazyFrame, names: Sequence[str]) -> tuple[pl.LazyFrame, list[str]]:
    """Add the place of each candidate by each of `names`, null where it has no score; give the columns' names."""
    own = {f"_standing_{name}": _standing(pl.col(f"score_{name}")) for name in names}
    return candidates.with_columns(**own), list(own)


def spread(columns: Sequence[str]) -> pl.Expr:
    """Give the population standard deviation over `columns`, nulls left out."""
    mean = pl.mean_horizontal(*columns)
    return pl.mean_horizontal(*((pl.col(name) - mean) ** 2 for name in columns)).sqrt()


def voted(columns: Sequence[str], value: pl.Expr) -> pl.Expr:
    """Give `value` rounded to 6 digits where enough scorers gave a place, else null."""
    count = pl.sum_horizontal(*(pl.col(name).is_not_null().cast(pl.Int32) for name in columns))
    return pl.when(count >= LEAST).then(value.round(6))


def _standing(score: pl.Expr) -> pl.Expr:
    count = score.count().over("query")
    rank = score.rank("average").over("query")
    return pl.when(score.is_not_null()).then(pl.when(count > 1).then((rank - 1) / (count - 1)).otherwise(0.5))
