"""How the losses of pairs went over the epochs, and which pairs look bad by them."""

from dataclasses import asdict, dataclass
from typing import Final

import polars as pl

from negset.mining.loss_history import weigh_pairs

WARM_UP: Final = 5
"""Epochs in which a pair must have been seen before it is judged."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class EpochLosses:
    """Quantiles of the losses of the pairs of an epoch, counted from 0."""

    epoch: int
    pairs: int
    mean: float
    quantiles: tuple[float, ...]

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class FlaggedPair:
    """A pair whose losses stayed huge (`faulty`: the positive is none) or tiny (`noisy`) over the epochs."""

    query_id: str
    positive_id: str
    flag: str
    epochs: int
    mean_loss: float


def epoch_losses(pair_stats: pl.DataFrame) -> list[EpochLosses]:
    """Give the distribution of the losses in each epoch, in order; quantiles are those of `QUANTILES`."""
    names = [f"q{place}" for place in range(len(QUANTILES))]
    loss = pl.col("loss").cast(pl.Float64)
    counted = (
        pair_stats.group_by("epoch")
        .agg(
            pl.len().alias("pairs"),
            loss.mean().alias("mean"),
            *(loss.quantile(share, "linear").alias(name) for share, name in zip(QUANTILES, names, strict=True)),
        )
        .sort("epoch")
    )
    return [
        EpochLosses(row["epoch"], row["pairs"], row["mean"], tuple(row[name] for name in names))
        for row in counted.to_dicts()
    ]


def flagged_pairs(pair_stats: pl.DataFrame) -> list[FlaggedPair]:
    """List the pairs that `weigh_pairs` flags: faulty ones by falling, then noisy ones by rising mean loss.

    Of a pair that a plan of batches drew more than once in an epoch the mean counts.
    """
    key = ("query_id", "positive_id", "epoch")
    once = pair_stats.group_by(key).agg(pl.col("loss").cast(pl.Float64).mean()).sort(key)
    flagged = (
        weigh_pairs(once, warm_up=WARM_UP).filter(pl.col("flag") != "ok").with_columns(pl.col("flag").cast(pl.String))
    )
    order = pl.when(pl.col("flag") == "faulty").then(-pl.col("mean_loss")).otherwise(pl.col("mean_loss"))
    ordered = flagged.with_columns(order=order).sort("flag", "order", "query_id", "positive_id")
    columns = ("query_id", "positive_id", "flag", "epochs", "mean_loss")
    return [FlaggedPair(*row) for row in ordered.select(columns).iter_rows()]
