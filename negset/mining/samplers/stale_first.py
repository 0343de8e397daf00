"""Take reports of older events of the query's kind first, then the hardest survivors."""

import polars as pl
from pydantic import Field

from negset.mining.draws import choose
from negset.mining.rules import SamplerParams, place, rule, survives


class StaleFirstParams(SamplerParams):
    """How many are taken, and how many of them at most because they are stale."""

    most: int = Field(0, ge=0, description="stale survivors that are preferred; 0 for as many as there are")


@rule("stale_first", kind="sampler", needs=["score", "score_event"], params=StaleFirstParams)
def stale_first(candidates: pl.LazyFrame, params: StaleFirstParams) -> pl.LazyFrame:
    """Take `k` survivors: the hardest of those about an older event, then the hardest of all that are left.

    Nothing is left to chance, so `sample_prob` stays null. Positions go by hardness, as everywhere.
    """
    turn = place(survives() & (pl.col("score_event") == 0.5).fill_null(value=False))
    preferred = turn.is_not_null() if not params.most else (turn <= params.most).fill_null(value=False)
    # In columns of their own, since polars computes a window inside a window wrongly.
    ordered = candidates.with_columns(_preferred=preferred, _place=place(survives()).cast(pl.Int64))
    first = pl.col("_place") + pl.when("_preferred").then(0).otherwise(1 << 32)
    return choose(ordered, first, params.k, pl.lit(None, dtype=pl.Float64)).drop("_preferred", "_place")
