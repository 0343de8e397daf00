"""Reject all candidates of an unlabelled query that nothing matches (CLIPN's agreeing-to-differ, arXiv 2308.12213)."""

import polars as pl
from pydantic import Field

from negset.mining.rules import Params, reject, rule, scored


class UnanswerableParams(Params):
    """Who says yes or no, and how far the recipe's scores tell candidates apart."""

    by: str = Field("yes_no", description="teacher that gives the chance of yes")
    temperature: float = Field(
        0.05, gt=0, allow_inf_nan=False, description="divides the recipe's scores before their softmax; 1 for BM25"
    )


@rule("unanswerable", kind="filter", needs=["score", "score{by}", "positive_score{by}"], params=UnanswerableParams)
def unanswerable(candidates: pl.LazyFrame, params: UnanswerableParams) -> pl.LazyFrame:
    """Reject all candidates of a query without labelled positives where no match at all is likelier than any match.

    The softmax of the recipe's scores says which candidate it would be, each one's yes whether it is one; what is
    left is the chance of none. Put it before a rule that looks for positives. A labelled query loses nothing.
    """
    yes = scored("score", params.by)
    weight = pl.when(pl.col("score").is_not_null() & yes.is_not_null()).then(pl.col("score") / params.temperature)
    shifted = candidates.with_columns(_best=weight.max().over("query")).with_columns(
        _mass=(weight - pl.col("_best")).exp()
    )
    shared = shifted.with_columns(_match=pl.col("_mass") / pl.col("_mass").sum().over("query") * yes)
    whole = shared.with_columns(
        _none=1 - pl.col("_match").sum().over("query"), _likeliest=pl.col("_match").max().over("query")
    )
    unlabelled = scored("positive_score", params.by).is_null()
    unknown = unlabelled & (pl.col("_none") > pl.col("_likeliest")).fill_null(value=False)
    judged = reject(whole, unknown, "unanswerable", value=pl.col("_none"), threshold=pl.col("_likeliest"))
    return judged.drop("_best", "_mass", "_match", "_none", "_likeliest")
