"""Tell bad positive pairs by their losses over many epochs (Dynamic Bad Pair Mining, arXiv 2302.03357).

A pair whose loss stays tiny is noisy (aligned on what both texts share by chance, or twins), one whose loss stays
huge is faulty (the positive is none). Two defects of the authors' code are avoided: a normal density is no weight
(it exceeds 1 where losses hardly differ), and a mean scaled by epoch is not comparable with a loss.
"""

from typing import Final

import polars as pl

from negset.errors import ContractError, MissingColumnsError, listed

COLUMNS: Final = ("query_id", "positive_id", "epoch", "loss")
FLAG: Final = pl.Enum(["ok", "noisy", "faulty"])
_TABLE: Final = "pair_stats"
_LARGEST_EXPONENT: Final = 50.0
"""Beyond ten deviations a weight stays at exp(-50): above 0."""


def weigh_pairs(
    pair_stats: pl.DataFrame, *, too_easy: float = 2.0, too_hard: float = 3.0, warm_up: int = 5
) -> pl.DataFrame:
    """Flag the pairs of `pair_stats` (query_id, positive_id, epoch, loss) by their mean loss over all epochs.

    From each loss its epoch's mean is taken first, so that pairs seen in different epochs compare. The mean m of a
    pair is faulty at or above mu + `too_hard` sigma over all pairs; of those left, noisy at or below
    mu - `too_easy` sigma. They are cut by turns because a few huge losses would hide the tiny ones. A pair seen in
    fewer than `warm_up` epochs is neither judged nor counted. A flagged pair weighs exp(-(m - mu)² / 2 sigma²), at
    most 1, every other exactly 1.
    Gives query_id, positive_id, epochs, mean_loss, flag and weight, sorted by the ids.
    Raises MissingColumnsError, and ContractError for a loss that is not finite or a pair that stands twice in an
    epoch, naming them.
    """
    _check(pair_stats)
    pairs = (
        pair_stats.sort("query_id", "positive_id", "epoch")
        .with_columns(above=pl.col("loss") - pl.col("loss").mean().over("epoch"))
        .group_by("query_id", "positive_id", maintain_order=True)
        .agg(epochs=pl.len().cast(pl.Int32), mean_loss=pl.col("loss").mean(), above=pl.col("above").mean())
        .with_columns(flag=pl.lit("ok"), weight=pl.lit(1.0))
    )
    pairs = _flag(pairs, "faulty", warm_up, too_hard)
    pairs = _flag(pairs, "noisy", warm_up, -too_easy)
    return pairs.drop("above").with_columns(pl.col("flag").cast(FLAG))


def _flag(pairs: pl.DataFrame, name: str, warm_up: int, deviations: float) -> pl.DataFrame:
    """Flag the pairs beyond `deviations`, below the mean where these are negative, among those not flagged yet."""
    open_ = (pl.col("flag") == "ok") & (pl.col("epochs") >= warm_up)
    mean, spread = pairs.filter(open_).select(mean=pl.col("above").mean(), spread=pl.col("above").std(ddof=0)).row(0)
    if not spread:
        return pairs
    distance = (pl.col("above") - mean) / spread
    beyond = open_ & ((distance >= deviations) if deviations > 0 else (distance <= deviations))
    weight = (-(distance.pow(2) / 2).clip(upper_bound=_LARGEST_EXPONENT)).exp()
    return pairs.with_columns(
        flag=pl.when(beyond).then(pl.lit(name)).otherwise("flag"),
        weight=pl.when(beyond).then(weight).otherwise("weight"),
    )


def _check(pair_stats: pl.DataFrame) -> None:
    lacking = [name for name in COLUMNS if name not in pair_stats.columns]
    if lacking:
        raise MissingColumnsError.from_columns(_TABLE, lacking, pair_stats.columns)
    wrong = pair_stats.filter(~pl.col("loss").is_finite().fill_null(value=False))
    if wrong.height:
        message = f"{wrong.height} losses of {_TABLE} are not finite: {listed(_names(wrong))}"
        raise ContractError(message)
    twice = pair_stats.filter(pl.struct("query_id", "positive_id", "epoch").is_duplicated())
    if twice.height:
        message = f"{twice.height} rows of {_TABLE} stand more than once in an epoch: {listed(_names(twice))}"
        raise ContractError(message)


def _names(rows: pl.DataFrame) -> list[str]:
    named = rows.select("query_id", "positive_id", "epoch").sort(pl.all()).head(20).rows()
    return [f"({query}, {positive}) in epoch {epoch}" for query, positive, epoch in named]
