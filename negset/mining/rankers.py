"""What several miners and teachers say of one candidate: who they are, and what place each gives it."""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from negset.errors import MissingColumnsError
from negset.mining.recipe import UNSCORED_MINERS
from negset.mining.rules import place

_TABLE: Final = "candidates"


def rankers(columns: Iterable[str], named: Sequence[str] = ()) -> tuple[str, ...]:
    """Give the miners of a frame with `columns` that rank and score, in their order, or those `named`.

    Teachers must be named: which others a build asks must not change what a rule gives.
    Raises MissingColumnsError where one of `named` gives no scores, and where nobody does.
    """
    there = list(columns)
    miners = [column.removeprefix("rank_") for column in there if column.startswith("rank_")]
    asked = tuple(named) or tuple(name for name in miners if name not in UNSCORED_MINERS and f"score_{name}" in there)
    lacking = [f"score_{name}" for name in asked if f"score_{name}" not in there] if asked else ["score_<miner>"]
    if lacking:
        raise MissingColumnsError.from_columns(_TABLE, lacking, there)
    return asked


def places(columns: Iterable[str], names: Sequence[str]) -> dict[str, pl.Expr]:
    """Give for each of `names` its rank of a candidate, null where it has none.

    A miner's is its place in its own list, positives counted. A teacher has no list: its place is that among all
    candidates of the query which it scored, by falling score, then document.
    """
    there = set(columns)
    return {
        name: pl.col(f"rank_{name}")
        if f"rank_{name}" in there
        else place(pl.col(f"score_{name}").is_not_null(), by=name)
        for name in names
    }


def lowest_positive(score: str) -> pl.Expr:
    """Give the lowest `score` among the known positives of the query that somebody proposed; null where none was.

    A fused score exists only for candidates, so unlike a miner's this knows nothing of a positive that no miner
    proposed.
    """
    return pl.when("is_positive").then(score).min().over("query")
