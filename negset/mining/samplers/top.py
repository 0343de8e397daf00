"""Take the hardest survivors."""

import polars as pl

from negset.mining.rules import SamplerParams, place, rule, survives


class TopParams(SamplerParams):
    """How many are taken."""


@rule("top", kind="sampler", needs=["score"], params=TopParams)
def top(candidates: pl.LazyFrame, params: TopParams) -> pl.LazyFrame:
    """Take the `k` hardest survivors. Nothing is left to chance, so `sample_prob` stays null."""
    order = place(survives())
    return candidates.with_columns(
        position=pl.when(order <= params.k).then(order), sample_prob=pl.lit(None, dtype=pl.Float64)
    )
