"""Reject what is a positive of a positive of the query (co-citation graphs, transitive labels)."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class TwoHopsParams(Params):
    """No options."""


@rule("two_hops", kind="filter", needs=["score_hops"], params=TwoHopsParams, suspects=True)
def two_hops(candidates: pl.LazyFrame, params: TwoHopsParams) -> pl.LazyFrame:
    """Reject a document next to a positive of the query in the graph of labels, or of which that is not known."""
    score = pl.col("score_hops")
    return reject(candidates, score >= 0.5, "two_hops", value=score, threshold=pl.lit(0.5))
