"""Reject the query's own text."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class OwnTextParams(Params):
    """No options: no recipe can switch this rule off."""


@rule("own_text", kind="filter", needs=["is_own_text"], params=OwnTextParams)
def own_text(candidates: pl.LazyFrame, params: OwnTextParams) -> pl.LazyFrame:
    """Reject a document whose normalised text is the query's."""
    return reject(candidates, pl.col("is_own_text"), "own_text")
