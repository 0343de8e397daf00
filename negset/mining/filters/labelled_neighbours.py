"""Reject what lies among positives of the query (leave-one-out nearest neighbours, after LOOK)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import EPSILON, Params, reject, rule


class LabelledNeighboursParams(Params):
    """How many of a document's neighbours may be positives of the query."""

    share: float = Field(0.1, ge=0, le=1, description="highest share of neighbours that are positives of the query")


@rule("labelled_neighbours", kind="filter", needs=["score_neighbours"], params=LabelledNeighboursParams, suspects=True)
def labelled_neighbours(candidates: pl.LazyFrame, params: LabelledNeighboursParams) -> pl.LazyFrame:
    """Reject a document of whose neighbours more than `share` are positives of the query, or nothing is known."""
    score = pl.col("score_neighbours")
    return reject(
        candidates, score > params.share + EPSILON, "labelled_neighbours", value=score, threshold=pl.lit(params.share)
    )
