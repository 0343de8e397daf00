"""Let several miners and teachers choose the negatives (ensembles of NV-Retriever, arXiv 2407.15831)."""

from typing import Literal

import polars as pl
from pydantic import Field

from negset.mining.draws import choose, query_lot
from negset.mining.rankers import rankers
from negset.mining.rules import ChanceParams, RankersParams, place, rule, survives


class EnsembleParams(ChanceParams, RankersParams):
    """How many are taken, by whom, and whether they share a query or the queries."""

    how: Literal["intra", "cross"] = Field(
        "intra", description="intra: all take turns in a query; cross: one of them, drawn, takes all of a query"
    )


@rule("ensemble", kind="sampler", needs=["score{each}"], params=EnsembleParams)
def ensemble(candidates: pl.LazyFrame, params: EnsembleParams) -> pl.LazyFrame:
    """Take `k` survivors that are the hardest for the miners and teachers, each by its own scores.

    `intra` goes through first places, then second ones, in the order of the names; what two of them name is taken
    once, and the turn of the second is not made up for. `cross` draws one of them for each query with equal chances;
    `sample_prob` is then the share of them among whose `k` hardest the survivor is. Ties go to the smaller document.
    """
    names = rankers(candidates.collect_schema().names(), params.named)
    own = [f"_place_{name}" for name in names]
    placed = candidates.with_columns(
        **{f"_place_{name}": place(survives() & pl.col(f"score_{name}").is_not_null(), by=name) for name in names}
    )
    if params.how == "intra":
        # Place and name in one number: the first place of the first name, that of the second, and so on.
        turns = [pl.col(column).cast(pl.Int64) * len(own) + at for at, column in enumerate(own)]
        first, chance = pl.min_horizontal(*turns), pl.lit(None, dtype=pl.Float64)
    else:
        drawn = query_lot(params.seed, "ensemble", len(own))
        first = pl.coalesce(*(pl.when(drawn == at).then(pl.col(column)) for at, column in enumerate(own)))
        chance = pl.mean_horizontal(
            *((pl.col(name) <= params.k).fill_null(value=False).cast(pl.Float64) for name in own)
        )
    chosen = choose(
        placed.with_columns(_turn=first), pl.col("_turn"), params.k, chance, among=pl.col("_turn").is_not_null()
    )
    return chosen.drop("_turn", *own)
