"""Reject the known positives of the query."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class KnownPositiveParams(Params):
    """No options: no recipe can switch this rule off."""


@rule("known_positive", kind="filter", needs=["is_positive"], params=KnownPositiveParams)
def known_positive(candidates: pl.LazyFrame, params: KnownPositiveParams) -> pl.LazyFrame:
    """Reject a document judged relevant to the query, in any row or split, and its text twins."""
    return reject(candidates, pl.col("is_positive"), "known_positive")
