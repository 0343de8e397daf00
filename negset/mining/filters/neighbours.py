"""Reject what lies among positives of the query (leave-one-out nearest neighbours, after LOOK)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, reject, rule


class NeighboursParams(Params):
    """How many of a document's neighbours may be positives of the query."""

    share: float = Field(0.5, ge=0, le=1, description="highest share of neighbours that are positives of the query")


@rule("neighbours", kind="filter", needs=["score_neighbours"], params=NeighboursParams, suspects=True)
def neighbours(candidates: pl.LazyFrame, params: NeighboursParams) -> pl.LazyFrame:
    """Reject a document of whose neighbours more than `share` are positives of the query, or nothing is known."""
    score = pl.col("score_neighbours")
    return reject(candidates, score > params.share + EPSILON, "neighbours", value=score, threshold=pl.lit(params.share))
