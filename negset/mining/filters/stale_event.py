"""Reject what is about the query's own event, and keep what is about an older one of its kind."""

import polars as pl

from negset.mining.rules import Params, reject, rule


class StaleEventParams(Params):
    """No options: what an event is, is said in `teach.event`."""


@rule("stale_event", kind="filter", needs=["score_event"], params=StaleEventParams, suspects=True)
def stale_event(candidates: pl.LazyFrame, params: StaleEventParams) -> pl.LazyFrame:
    """Reject a document with the query's key within the window: it may be relevant. One of an older event stays.

    Put it before `duplicate`: a report of an older event may say the same, and only one of both would be left.
    """
    score = pl.col("score_event")
    return reject(candidates, score > 0.75, "stale_event", value=score, threshold=pl.lit(0.75))
