"""Keep what a "no" fits better than a "yes" (CLIPN's competing-to-win, arXiv 2308.12213): there is no threshold."""

import polars as pl
from pydantic import Field

from negset.mining.rules import Params, reject, rule, scored


class ClipnParams(Params):
    """Who says yes or no."""

    by: str = Field("yes_no", description="teacher that gives the chance of yes; the rest is the chance of no")


@rule("clipn", kind="filter", needs=["score{by}"], params=ClipnParams, suspects=True)
def clipn(candidates: pl.LazyFrame, params: ClipnParams) -> pl.LazyFrame:
    """Reject a candidate unless its no is likelier than its yes; a tie goes, and so does what has no score."""
    yes = scored("score", params.by)
    return reject(candidates, ~(1 - yes > yes), "clipn", value=yes, threshold=pl.lit(0.5))
