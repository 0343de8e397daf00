"""Draws among candidates: the same query, document, rule and seed draw the same lot anywhere."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from negset.lots import id_keys, mix
from negset.mining.rules import place, survives


def chance(seed: int, rule: str) -> pl.Expr:
    """Give each candidate a uniform number in (0, 1) that depends on its ids, `seed` and `rule` alone."""
    salt = id_keys([f"{seed}:{rule}"])

    def draw(keys: Sequence[pl.Series]) -> pl.Series:
        queries, documents = (series.to_numpy() for series in keys)
        bits = mix(mix(mix(queries ^ salt) + documents))
        return pl.Series(((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53, dtype=pl.Float64)

    return pl.map_batches(["query_key", "doc_key"], draw, return_dtype=pl.Float64)


def query_lot(seed: int, rule: str, count: int) -> pl.Expr:
    """Give each query one of 0 to `count` - 1 with equal chances, by its id, `seed` and `rule` alone."""
    salt = id_keys([f"{seed}:{rule}"])

    def draw(queries: pl.Series) -> pl.Series:
        bits = mix(mix(queries.to_numpy() ^ salt))
        return pl.Series(bits % np.uint64(count), dtype=pl.UInt32)

    return pl.col("query_key").map_batches(draw, return_dtype=pl.UInt32)


def gumbel(uniform: pl.Expr) -> pl.Expr:
    """Turn `uniform` numbers in (0, 1) into Gumbel noise."""
    return -((-(uniform.log())).log())


def choose(
    candidates: pl.LazyFrame,
    first: pl.Expr,
    k: pl.Expr | int,
    probability: pl.Expr,
    *,
    among: pl.Expr | None = None,
    pool: pl.Expr | None = None,
) -> pl.LazyFrame:
    """Fill `position` (by hardness) and `sample_prob` of the `k` survivors of each query with the least `first`.

    Only rows `among` are eligible. With `pool`, each of its values is a pool of its own with its own `k`.
    """
    # Each in a column of its own, since polars computes a window inside a window wrongly.
    eligible = survives() if among is None else survives() & among
    inner = {"_eligible": eligible, "_pool": pl.lit(0) if pool is None else pool, "_first": first, "_k": k}
    turn = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(
        "query", "_eligible", "_pool", order_by=["_first", "doc"], nulls_last=True
    )
    return (
        candidates.with_columns(**inner, sample_prob=probability.cast(pl.Float64))
        .with_columns(_drawn=pl.col("_eligible") & (turn <= pl.col("_k")))
        .with_columns(position=place(pl.col("_drawn")), sample_prob=pl.when("_drawn").then("sample_prob"))
        .drop(*inner, "_drawn")
    )
