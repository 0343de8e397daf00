"""Reject what shares the prototype of a positive (ProtoCLIP, arXiv 2206.10996)."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class SamePrototypeParams(Params):
    """No options: how large a cluster is, and whose clusters count, is said in `teach.prototype`."""


@rule("same_prototype", kind="filter", needs=["score_prototype"], params=SamePrototypeParams, suspects=True)
def same_prototype(candidates: pl.LazyFrame, params: SamePrototypeParams) -> pl.LazyFrame:
    """Reject a document in the cluster of a positive of the query, or of which no cluster is known."""
    score = pl.col("score_prototype")
    return reject(candidates, score >= 0.5, "same_prototype", value=score, threshold=pl.lit(0.5))
