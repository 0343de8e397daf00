"""Fuse the rankings of several miners and teachers (reciprocal rank fusion, Cormack, Clarke, Buettcher 2009)."""

import polars as pl
from pydantic import Field

from negset.mining.rankers import lowest_positive, places, rankers
from negset.mining.rules import RankersParams, rule


class RankFusionParams(RankersParams):
    """Whose ranks are fused, and how fast a rank loses its worth."""

    constant: float = Field(60.0, gt=0, allow_inf_nan=False, description="added to each rank before it is inverted")


@rule("rank_fusion", kind="scorer", needs=["score{each}"], params=RankFusionParams)
def rank_fusion(candidates: pl.LazyFrame, params: RankFusionParams) -> pl.LazyFrame:
    """Add up 1 / (`constant` + rank) over all who rank the candidate.

    Who did not propose a candidate adds nothing. `positive_score_rank_fusion` is the lowest of the query's known
    positives that somebody proposed, null where nobody did.
    """
    columns = candidates.collect_schema().names()
    ranks = places(columns, rankers(columns, params.named))
    own = {f"_place_{name}": rank for name, rank in ranks.items()}
    terms = [(1 / (params.constant + pl.col(name))).fill_null(0.0) for name in own]
    return (
        candidates.with_columns(**own)
        .with_columns(score_rank_fusion=pl.sum_horizontal(terms).round(6))
        .with_columns(positive_score_rank_fusion=lowest_positive("score_rank_fusion"))
        .drop(own)
    )
