"""From outcomes to estimates: how often an unknown positive becomes a negative, and how hard the negatives are."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from negset.audit.evidence import Evidence
from negset.audit.hiding import ONCE, TWICE, HidingPlan
from negset.audit.intervals import ClusteredShare, Interval, clustered_share, share_interval
from negset.audit.outcomes import UNLISTED, Outcome
from schemas.manifest import Record

UNSCORED: Final = "random"
"""Miner whose ranks are no ranks of relevance."""
_POSITIVES: Final = ((2, "2"), (5, "3 to 5"), (10, "6 to 10"), (math.inf, "11 and more"))
_WORDS: Final = ((3, "1 to 3"), (7, "4 to 7"), (15, "8 to 15"), (math.inf, "16 and more"))


class Estimate(Record):
    """A share with the ends of its 95 % interval."""

    share: float
    low: float
    high: float


class ReturnRate(Record):
    """The share of unknown positives that become negatives.

    `returned` of `hidden` were counted; `rate` is that share, corrected for what hiding itself changes. Its interval
    is for the share among as many unlabelled positives as were assumed, `expected` for the rate behind it.
    """

    hidden: int
    returned: int
    queries: int
    rate: Estimate
    expected: Estimate


class Stratum(Record):
    """The return rate among the positives of one group, and how many negatives of the set belong to it."""

    by: str
    group: str
    rate: ReturnRate
    negatives: int | None


class Hardness(Record):
    """How hard the negatives are: score of the lowest positive less their own, and their miner's raw rank, means."""

    score_gap: float | None
    raw_rank: float | None


class RowsLeft(Record):
    """Queries that ask for negatives, those that got all wanted, some, none; and the negatives."""

    queries: int
    full: int
    short: int
    none: int
    negatives: int

    @property
    def lost(self) -> float:
        """Give the share of queries that did not get all negatives wanted."""
        return 1 - self.full / self.queries if self.queries else 0.0


class RecipeAudit(Record):
    """All that an audit says of a recipe. Without any hidden positive, rates are None."""

    recipe: str
    wanted: int
    returns: ReturnRate | None
    hidden_among_negatives: Estimate | None
    """Of the negatives chosen while a part was hidden, the share that were hidden positives."""
    false_share: Estimate | None
    """Share of the set's negatives that are false, under the assumption of how many positives are unlabelled."""
    hardness: Hardness
    rows: RowsLeft
    strata: tuple[Stratum, ...]


def corrected_returns(hidden: pl.DataFrame) -> pl.DataFrame:
    """Give `query`, `unit`, `returned` (0 or 1) and `corrected` of each positive that was hidden.

    Hiding a part leaves a build with fewer labels than the one it stands for: ceilings rise, more unknown positives
    compete. Hiding twice as much shows how much that is; the rate is extrapolated linearly to nothing hidden (SIMEX,
    Cook and Stefanski 1994). Where no second part could be hidden, nothing is corrected.
    """
    once = hidden.filter(pl.col("parts") == ONCE).select(
        "query", "unit", pl.col("returned").cast(pl.Float64), gone=pl.col("gone").cast(pl.Float64)
    )
    twice = (
        hidden.filter(pl.col("parts") == TWICE)
        .group_by("query", "unit")
        .agg(pl.col("returned").cast(pl.Float64).mean().alias("again"), pl.col("gone").mean().alias("more"))
    )
    slope = (pl.col("returned") - pl.col("again")) / (pl.col("more") - pl.col("gone"))
    extrapolated = pl.when(pl.col("more") > pl.col("gone")).then(pl.col("returned") + slope * pl.col("gone"))
    return once.join(twice, on=["query", "unit"], how="left", maintain_order="left").select(
        "query", "unit", "returned", corrected=pl.coalesce(extrapolated, "returned")
    )


def estimate_recipe(outcome: Outcome, evidence: Evidence, facts: pl.DataFrame, unlabelled: float) -> RecipeAudit:
    """Say how `outcome` went, assuming `unlabelled` unlabelled positives for each known one.

    `facts` are those of `positive_facts`.
    """
    units = corrected_returns(outcome.hidden).join(facts, on=["query", "unit"], maintain_order="left")
    returns = return_rate(units, unlabelled) if units.height else None
    return RecipeAudit(
        recipe=outcome.recipe,
        wanted=int(outcome.fates["wanted"].max() or 0),  # type: ignore[arg-type]
        returns=returns,
        hidden_among_negatives=_hidden_among(outcome.rounds, evidence),
        false_share=_false_share(returns, units, facts, outcome, unlabelled) if returns else None,
        hardness=_hardness(outcome.negatives),
        rows=_rows(outcome),
        strata=_strata(units, outcome, evidence, unlabelled),
    )


def positive_facts(evidence: Evidence, plan: HidingPlan, proposed: pl.DataFrame) -> pl.DataFrame:
    """Give what strata are made of, for each known positive: split, number of positives, query length, miner."""
    counted = plan.positives.with_columns(positives=pl.len().over("cluster"))
    return (
        counted.join(evidence.queries.select("query", "split", "words"), on="query")
        .join(proposed, on=["query", "unit"], how="left")
        .select(
            "query",
            "unit",
            "cluster",
            "split",
            pl.col("miner").fill_null(UNLISTED),
            positives=_bucket("positives", _POSITIVES),
            words=_bucket("words", _WORDS),
        )
    )


def _bucket(column: str, borders: tuple[tuple[float, str], ...]) -> pl.Expr:
    """Name the first of `borders` that `column` does not exceed."""
    return pl.coalesce(*(pl.when(pl.col(column) <= most).then(pl.lit(label)) for most, label in borders))


def return_rate(units: pl.DataFrame, unlabelled: float) -> ReturnRate:
    """Estimate the return rate from `units` (cluster, query, returned, corrected)."""
    sums = units.group_by("cluster").agg(pl.col("returned", "corrected").sum(), hidden=pl.len()).sort("cluster")
    hidden_C = sums["hidden"].to_numpy().astype(np.float64)
    found = clustered_share(sums["corrected"].to_numpy(), hidden_C, float(sums["returned"].sum() / units.height))
    return ReturnRate(
        hidden=units.height,
        returned=int(units["returned"].sum()),
        queries=units["cluster"].n_unique(),
        rate=_estimate(found, share_interval(found, unlabelled * units.height)),
        expected=_estimate(found, share_interval(found)),
    )


def _estimate(found: ClusteredShare, ends: Interval) -> Estimate:
    return Estimate(share=found.share, low=min(ends.low, found.share), high=max(ends.high, found.share))


def _false_share(
    returns: ReturnRate, units: pl.DataFrame, facts: pl.DataFrame, outcome: Outcome, unlabelled: float
) -> Estimate | None:
    """Turn the rate into a share of the negatives of the query texts that took part."""
    counts = outcome.negatives.group_by("query").len("negatives")
    asked = units.select("cluster", "query").unique().join(counts, on="query", how="left").fill_null(0)
    negatives = float(asked.group_by("cluster").agg(pl.col("negatives").mean())["negatives"].sum())
    if not negatives:
        return None
    known = facts.join(asked, on="cluster", how="semi").height
    scale = unlabelled * known / negatives
    share, low, high = (min(value * scale, 1.0) for value in (returns.rate.share, returns.rate.low, returns.rate.high))
    return Estimate(share=share, low=low, high=high)


def _hidden_among(rounds: pl.DataFrame, evidence: Evidence) -> Estimate | None:
    once = rounds.filter(pl.col("parts") == ONCE).join(evidence.queries.select("query", "cluster"), on="query")
    sums = once.group_by("cluster").agg(pl.col("hidden", "negatives").sum()).sort("cluster")
    chosen_C = sums["negatives"].to_numpy().astype(np.float64)
    if not chosen_C.sum():
        return None
    found = clustered_share(sums["hidden"].to_numpy().astype(np.float64), chosen_C)
    return _estimate(found, share_interval(found))


def _hardness(negatives: pl.DataFrame) -> Hardness:
    gap = negatives.select(pl.col("positive_score").cast(pl.Float64) - pl.col("score").cast(pl.Float64)).to_series()
    rank = negatives.filter(pl.col("miner") != UNSCORED)["miner_rank"]
    return Hardness(score_gap=_mean(gap), raw_rank=_mean(rank))


def _mean(values: pl.Series) -> float | None:
    kept = values.drop_nulls()
    return float(kept.cast(pl.Float64).to_numpy().mean()) if len(kept) else None


def _rows(outcome: Outcome) -> RowsLeft:
    got, wanted = outcome.fates["got"], outcome.fates["wanted"]
    full, none = int((got >= wanted).sum()), int((got == 0).sum())
    total = outcome.fates.height
    return RowsLeft(queries=total, full=full, short=total - full - none, none=none, negatives=int(got.sum()))


def _place(group: str) -> tuple[int, str]:
    """Order groups of numbers by number, all others by name after them."""
    labels = [label for _, label in (*_POSITIVES, *_WORDS)]
    return (labels.index(group) if group in labels else len(labels)), group


def _strata(units: pl.DataFrame, outcome: Outcome, evidence: Evidence, unlabelled: float) -> tuple[Stratum, ...]:
    by_miner = dict(outcome.negatives.group_by("miner").len().iter_rows())
    splits = evidence.queries.select("query", "split")
    by_split = dict(outcome.negatives.join(splits, on="query").group_by("split").len().iter_rows())
    counts: Mapping[str, dict[str, int]] = {"miner": by_miner, "split": by_split}
    found = []
    for by in ("split", "positives", "words", "miner"):
        for (group,), part in sorted(units.group_by(by), key=lambda item: _place(str(item[0][0]))):
            rate = return_rate(part, unlabelled)
            known = counts.get(by)
            negatives = None if known is None else known.get(str(group), 0)
            found.append(Stratum(by=by, group=str(group), rate=rate, negatives=negatives))
    return tuple(found)
