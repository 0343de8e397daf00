"""Five numbers that say how hard each query's negatives are (Visualising feature transformation, arXiv 2108.02982).

In place of all scores: the lowest positive's score, mean and variance of the negatives' scores, and both sides as a
contrastive loss sees them, weighed by exp(score / temperature). The last two are kept as logarithms: at small
temperatures, and for lexical scores, the plain numbers are not finite.
"""

from typing import Final

import polars as pl

TEMPERATURE: Final = 0.05
"""What scores are divided by before exp, as the trainer does by default."""


def score_statistics(negatives: pl.DataFrame, temperature: float = TEMPERATURE) -> pl.DataFrame:
    """Give the five statistics of each query of `negatives` (query_id, split, score, positive_score), sorted by id.

    `positive`; `negative_mean`; `negative_variance`, divided by n; `negative_log_mean_exp`, the logarithm of the mean
    of exp(score / temperature); `positive_log_exp`, positive / temperature. Negatives without a score count in none;
    a query with no score at all has nulls. `negatives` counts those with a score.
    """
    score = pl.col("score").cast(pl.Float64)
    scaled = score / temperature
    # The largest is taken out first, so that exp cannot overflow.
    return (
        negatives.lazy()
        .with_columns(_top=scaled.max().over("query_id"))
        .with_columns(_share=(scaled - pl.col("_top")).exp())
        .group_by("query_id")
        .agg(
            split=pl.col("split").first(),
            negatives=pl.col("score").count().cast(pl.Int32),
            positive=pl.col("positive_score").cast(pl.Float64).first(),
            negative_mean=score.mean(),
            negative_variance=score.var(ddof=0),
            negative_log_mean_exp=pl.col("_top").first() + pl.col("_share").mean().log(),
        )
        .with_columns(positive_log_exp=pl.col("positive") / temperature)
        .sort("query_id")
        .collect()
    )
