"""Reject near-duplicates among the negatives of one query."""

import polars as pl

from negset.mining.rules import Params, place, reject, rule, survives


class DuplicateParams(Params):
    """No options: what counts as a near-duplicate is settled once for the corpus."""


@rule("duplicate", kind="filter", needs=["near_group"], params=DuplicateParams)
def duplicate(candidates: pl.LazyFrame, params: DuplicateParams) -> pl.LazyFrame:
    """Reject a near-duplicate of a harder survivor; the hardest of each group stays."""
    # A column of its own, since polars computes a window inside a window wrongly.
    placed = candidates.with_columns(_place=place(survives()))
    hardest = pl.col("_place").min().over("query", "near_group")
    return reject(placed, pl.col("_place") > hardest, "duplicate").drop("_place")
