"""What a model lost on each query against another one: two sets of scores on the same candidates.

PASER (arXiv 2502.12594) compares the next words of a language model before and after pruning. Here the model is the
recipe's miner, the one before it whatever else scored the candidates (a guide of an earlier checkpoint, another run),
and in place of words stand the documents of a query's list.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats

TEMPERATURE: Final = 0.05
"""What scores are divided by before they become chances, as the trainer does by default."""
_NATS: Final = float(np.log(2))


def missed_share(blocks: Iterable[pl.DataFrame], queries: int) -> Floats:
    """Give for each of `queries` what its positives miss: 1 - 1 / rank of the best one, 1 where none was proposed.

    Ranks are those of the recipe's miner, all proposals counted.
    """
    missed_Q = np.ones(queries)
    for block in blocks:
        found = block.filter(pl.col("is_positive") & pl.col("rank").is_not_null())
        best = found.group_by("query").agg(rank=pl.col("rank").min())
        missed_Q[best["query"].to_numpy()] = 1 - 1 / best["rank"].to_numpy()
    return missed_Q


def margin_drop(blocks: Iterable[pl.DataFrame], queries: int, reference: str) -> Floats:
    """Give how much smaller each query's margin is by the recipe's miner than by `reference`; below 0 it grew.

    A margin is the lowest positive's score less the mean of the other candidates' scores. Candidates that both have
    scored count; a query without any, or without a score of its positive by both, has lost nothing that is known: 0.
    Both must score on one scale, as two checkpoints of a model do.
    """
    drop_Q = np.zeros(queries)
    for block in blocks:
        margin = pl.col("positive_now").first() - pl.col("now").mean()
        before = pl.col("positive_before").first() - pl.col("before").mean()
        found = _both(block, reference).group_by("query").agg(drop=before - margin)
        drop_Q[found["query"].to_numpy()] = found["drop"].to_numpy()
    return drop_Q


def divergence(blocks: Iterable[pl.DataFrame], queries: int, reference: str) -> Floats:
    """Give the Jensen-Shannon divergence, 0 to 1 in bits, of what both models make of each query's list.

    A list is the lowest positive and the other candidates, each with the chance exp(score / TEMPERATURE) over the sum.
    It says how much the order changed, not whether for the worse. 0 where `margin_drop` knows nothing.
    """
    found_Q = np.zeros(queries)
    for block in blocks:
        rows = _both(block, reference)
        own = rows.group_by("query", maintain_order=True).agg(
            now=pl.col("positive_now").first(), before=pl.col("positive_before").first()
        )
        listed = pl.concat([rows.select("query", "now", "before"), own])
        # The largest is taken out first, so that exp cannot overflow; in steps, since over() does not nest.
        weights = listed.with_columns(_weight("now"), _weight("before"))
        chances = weights.with_columns(pl.col(name) / pl.col(name).sum().over("query") for name in ("now", "before"))
        middle = (pl.col("now") + pl.col("before")) / 2
        parts = [
            pl.when(pl.col(name) > 0).then(pl.col(name) * (pl.col(name) / middle).log()).otherwise(0.0)
            for name in ("now", "before")
        ]
        summed = chances.group_by("query", maintain_order=True).agg(found=(parts[0] + parts[1]).sum() / (2 * _NATS))
        found_Q[summed["query"].to_numpy()] = summed["found"].clip(0, 1).to_numpy()
    return found_Q


def _both(block: pl.DataFrame, reference: str) -> pl.DataFrame:
    """Give query, now, before, positive_now and positive_before of the candidates that both have scored, in order."""
    rows = block.filter(~pl.col("is_positive")).select(
        "query",
        "doc",
        now=pl.col("score").cast(pl.Float64),
        before=pl.col(f"score_{reference}").cast(pl.Float64),
        positive_now=pl.col("positive_score").cast(pl.Float64),
        positive_before=pl.col(f"positive_score_{reference}").cast(pl.Float64),
    )
    return rows.drop_nulls().sort("query", "doc")


def _weight(name: str) -> pl.Expr:
    return ((pl.col(name) - pl.col(name).max().over("query")) / TEMPERATURE).exp().alias(name)
