"""Reject what stands outside a window of ranks."""

from typing import Literal

import polars as pl
from pydantic import Field

from negset.mining.rules import ScoreParams, place, reject, rule, scored, survives


class RankWindowParams(ScoreParams):
    """Which ranks are kept, and what is counted."""

    first: int = Field(1, ge=1, description="first rank that is kept")
    last: int = Field(0, ge=0, description="last rank that is kept; 0 for no end")
    over: Literal["raw", "survivors"] = Field(
        "survivors", description="raw: the miner's ranks, positives counted; survivors: what is left so far"
    )


@rule("rank_window", kind="filter", needs=["rank{by}", "score{by}"], params=RankWindowParams)
def rank_window(candidates: pl.LazyFrame, params: RankWindowParams) -> pl.LazyFrame:
    """Reject a candidate ranked before `first` or after `last`.

    Over raw ranks a candidate that the miner did not propose has no rank and is rejected. Over survivors
    the rule's place in the recipe matters: filter then shift is not shift then filter. What this rule has
    rejected is counted too, so that applying it twice is applying it once.
    """
    counted = survives() | (pl.col("rejected_by") == "rank_window")
    rank = scored("rank", params.by) if params.over == "raw" else place(counted, params.by)
    early = rank < params.first
    late = (rank > params.last) if params.last else pl.lit(value=False)
    border = pl.when(early).then(params.first).when(late).then(params.last)
    return reject(candidates, early | late, "rank_window", value=rank, threshold=border)
