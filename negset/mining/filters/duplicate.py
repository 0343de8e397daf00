"""Reject near-duplicates among the negatives of one query."""

import polars as pl

from negset.mining.rules import Params, reject, rule, survives


class DuplicateParams(Params):
    """No options: what counts as a near-duplicate is settled once for the corpus."""


@rule("duplicate", kind="filter", needs=["near_group"], params=DuplicateParams)
def duplicate(candidates: pl.LazyFrame, params: DuplicateParams) -> pl.LazyFrame:
    """Reject a near-duplicate of a harder survivor; the hardest of each group stays."""
    # One number for the pair: a window over one column is twice as fast as over two.
    twins = pl.col("query").cast(pl.UInt64) * 2**32 + pl.col("near_group")
    keyed = candidates.with_columns(_twins=twins, _survivor=pl.when(survives()).then("hardness"))
    hardest = pl.col("_survivor").min().over("_twins")
    return reject(keyed, pl.col("_survivor") > hardest, "duplicate").drop("_twins", "_survivor")
