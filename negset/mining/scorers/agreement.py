"""Ask several miners and teachers whether a candidate is hard (ensembles of NV-Retriever, arXiv 2407.15831)."""

from typing import Literal

import polars as pl
from pydantic import Field

from negset.mining.rankers import lowest_positive, places, rankers
from negset.mining.rules import RankersParams, rule


class AgreementParams(RankersParams):
    """Who is asked, and how their answers are put together."""

    how: Literal["share", "mean_z"] = Field(
        "share", description="share: of those with it among their `first`; mean_z: mean of the standardised scores"
    )
    first: int = Field(10, ge=1, description="ranks that count as agreement, for `share`")


@rule("agreement", kind="scorer", needs=["score{each}"], params=AgreementParams)
def agreement(candidates: pl.LazyFrame, params: AgreementParams) -> pl.LazyFrame:
    """Score a candidate by how many of the miners and teachers find it hard, or by their mean z-score.

    A z-score is taken over the query's candidates that the miner or teacher scored (population deviation; 0 where
    all score alike), so that no scale outweighs another; the mean is over those who scored the candidate, null
    where nobody did. `positive_score_agreement` is the lowest of the query's known positives that somebody
    proposed, null where nobody did.
    """
    columns = candidates.collect_schema().names()
    names = rankers(columns, params.named)
    if params.how == "share":
        own = {f"_place_{name}": rank for name, rank in places(columns, names).items()}
        hits = [(pl.col(name) <= params.first).fill_null(value=False).cast(pl.Float64) for name in own]
        score = pl.sum_horizontal(hits) / len(hits)
    else:
        own = {f"_z_{name}": _standardised(f"score_{name}") for name in names}
        score = pl.mean_horizontal(*own)
    return (
        candidates.with_columns(**own)
        .with_columns(score_agreement=score.round(6))
        .with_columns(positive_score_agreement=lowest_positive("score_agreement"))
        .drop(own)
    )


def _standardised(name: str) -> pl.Expr:
    score = pl.col(name)
    spread = score.std(ddof=0).over("query")
    return pl.when(spread > 0).then((score - score.mean().over("query")) / spread).when(score.is_not_null()).then(0.0)
