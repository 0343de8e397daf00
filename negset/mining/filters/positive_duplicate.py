"""Reject near-duplicates of the query's positives, whatever they score."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class PositiveDuplicateParams(Params):
    """No options: what counts as a near-duplicate is settled once for the corpus."""


@rule("positive_duplicate", kind="filter", needs=["near_positive"], params=PositiveDuplicateParams, suspects=True)
def positive_duplicate(candidates: pl.LazyFrame, params: PositiveDuplicateParams) -> pl.LazyFrame:
    """Reject a near-duplicate of one of the query's known positives."""
    return reject(candidates, pl.col("near_positive"), "positive_duplicate")
