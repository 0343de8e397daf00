"""Intervals and tests by resampling queries, the same for all sets: which differences are real.

A set is a row of `values_SQ`: a measure of each held-out query, averaged over seeds. All sets are measured on the same
queries, so a resample keeps pairs together and what makes a query easy for all cancels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.lots import id_keys

Values = NDArray[np.float64]
RESAMPLES = 5000
_CHUNK = 250
"""Resamples whose counts of all queries are held at once."""


@dataclass(frozen=True)
class Interval:
    """A mean and the middle 95 % of its resamples."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """By how much a set is above another, and the chance of as great a difference where there is none (two-sided).

    `adjusted` is that chance after Holm's correction for all comparisons that were made with it; `real` is whether it
    is below .05.
    """

    difference: Interval
    chance: float
    adjusted: float

    @property
    def real(self) -> bool:
        """Say whether the difference holds after the correction."""
        return self.adjusted < 0.05


@dataclass(frozen=True)
class Change:
    """Means before and after, and the change, after less before, paired by query."""

    before: Interval
    after: Interval
    change: Difference


def resample_means(values_SQ: Values, seed: int, count: int = RESAMPLES) -> Values:
    """Give the mean of each set over each of `count` resamples of the queries with replacement, (S, count)."""
    return np.concatenate([values_SQ @ shares_QB for shares_QB in _resamples(values_SQ.shape[1], seed, count)], axis=1)


def _resamples(queries: int, seed: int, count: int) -> Iterator[Values]:
    """Yield how often each query is in each resample, as shares, (Q, B) a chunk."""
    chance = np.random.default_rng(int(id_keys([f"{seed}:bootstrap"])[0]))
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        drawn = chance.integers(0, queries, size=(size, queries)) + np.arange(size)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=size * queries).reshape(size, queries)
        yield counts.T / queries


def interval(values_Q: Values, seed: int) -> Interval:
    """Give the mean of `values_Q` and its 95 % interval."""
    return _interval(float(values_Q.mean()), resample_means(values_Q[None], seed)[0])


def _interval(mean: float, resampled_B: Values) -> Interval:
    low, high = np.quantile(resampled_B, [0.025, 0.975])
    return Interval(mean, float(low), float(high))


def compare_with(values_SQ: Values, reference: int, seed: int) -> list[Difference | None]:
    """Compare each set with the `reference` (its row): how far the reference is above it. None for itself.

    NaN stands for a query on which a set was not measured: two sets are compared on the queries of both.
    """
    gaps_SQ = values_SQ[reference] - values_SQ
    there_SQ = ~np.isnan(gaps_SQ)
    others = [row for row in range(len(values_SQ)) if row != reference]
    resampled: dict[int, Values] = {}
    for mask in {there_SQ[row].tobytes(): there_SQ[row] for row in others}.values():
        alike = [row for row in others if np.array_equal(there_SQ[row], mask)]
        resampled |= dict(zip(alike, resample_means(gaps_SQ[alike][:, mask], seed), strict=True))
    means = {row: float(np.nanmean(gaps_SQ[row])) for row in others}
    chances = [_chance(resampled[row], means[row]) for row in others]
    found: list[Difference | None] = [None] * len(values_SQ)
    for row, chance, adjusted in zip(others, chances, holm(chances), strict=True):
        found[row] = Difference(_interval(means[row], resampled[row]), chance, adjusted)
    return found


def measure_gains(gains: Sequence[Values], seed: int) -> list[Difference]:
    """Give the mean of each of `gains`, one number for each of its own queries, and whether it differs from zero.

    The samples may be of different queries. Holm's correction is for all of them together.
    """
    return _compared([resample_means(gain_Q[None], seed)[0] for gain_Q in gains], [float(one.mean()) for one in gains])


def _compared(resampled: Sequence[Values], means: Sequence[float]) -> list[Difference]:
    chances = [_chance(one, mean) for one, mean in zip(resampled, means, strict=True)]
    found = zip(means, resampled, chances, holm(chances), strict=True)
    return [Difference(_interval(mean, one), chance, adjusted) for mean, one, chance, adjusted in found]


def measure_changes(pairs: Sequence[tuple[Values, Values]], seed: int) -> list[Change]:
    """Compare what the queries of each of `pairs` measured before and after, (Q,) each, the same queries in both.

    Pairs may be of different queries. Holm's correction is for all of them together.
    """
    resampled = [resample_means(np.stack([before_Q, after_Q, after_Q - before_Q]), seed) for before_Q, after_Q in pairs]
    changes = _compared(
        [one[2] for one in resampled], [float((after_Q - before_Q).mean()) for before_Q, after_Q in pairs]
    )
    return [
        Change(_interval(float(before_Q.mean()), one[0]), _interval(float(after_Q.mean()), one[1]), change)
        for (before_Q, after_Q), one, change in zip(pairs, resampled, changes, strict=True)
    ]


def measure_runs(gains: Sequence[Values], seed: int) -> list[Difference]:
    """Give the mean of each of `gains` (runs, queries), and whether it differs from zero for other runs and queries.

    Each has a row for each seed of training. Runs and queries are both resampled: what a training owes to the luck of
    its seed is shared by all queries, so resampling queries alone would take it for a difference. One run fewer than
    there are is drawn, which makes the variance of a few runs right (McCarthy and Snowden 1985).
    Holm's correction is for all of them together. Raises ValueError for fewer than two runs.
    """
    return _compared([_resample_runs(one_RQ, seed) for one_RQ in gains], [float(one_RQ.mean()) for one_RQ in gains])


def _resample_runs(gains_RQ: Values, seed: int) -> Values:
    runs, queries = gains_RQ.shape
    if runs < 2:
        message = f"{runs} runs say nothing of the luck of a run: at least 2 are needed"
        raise ValueError(message)
    means_RB = resample_means(gains_RQ, seed)
    chance = np.random.default_rng(int(id_keys([f"{seed}:runs of {runs} over {queries}"])[0]))
    drawn_BR = chance.integers(0, runs, size=(means_RB.shape[1], runs - 1))
    return np.asarray(means_RB[drawn_BR, np.arange(means_RB.shape[1])[:, None]].mean(axis=1))


def _chance(resampled_B: Values, mean: float) -> float:
    """Give twice the share of resamples on the other side of zero; one more in both counts, so that it is never 0."""
    if mean == 0.0:
        return 1.0
    beyond = np.count_nonzero(resampled_B <= 0) if mean > 0 else np.count_nonzero(resampled_B >= 0)
    return min(1.0, 2.0 * (int(beyond) + 1) / (len(resampled_B) + 1))


def holm(chances: Sequence[float]) -> list[float]:
    """Adjust `chances` so that one of them is below a level by luck as rarely as a single test (Holm 1979)."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    adjusted, worst = [0.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(chances) - rank) * chances[place]))
        adjusted[place] = worst
    return adjusted


def chosen_interval(values_SQ: Values, seed: int) -> Interval:
    """Give what the best of several sets is worth, free of the luck of having been chosen.

    In each resample the best set on the queries in it is chosen and measured on the queries that are not in it (BBC-CV:
    Tsamardinos, Greasidou and Borboudakis 2018). The mean of the highest row itself would be too high.
    """
    measured: list[float] = []
    for shares_QB in _resamples(values_SQ.shape[1], seed, RESAMPLES):
        best_B = np.argmax(values_SQ @ shares_QB, axis=0)
        outside_QB = (shares_QB == 0).astype(np.float64)
        sizes_B = outside_QB.sum(axis=0)
        sums_B = np.einsum("bq,qb->b", values_SQ[best_B], outside_QB)
        measured += (sums_B[sizes_B > 0] / sizes_B[sizes_B > 0]).tolist()
    return _interval(float(np.mean(measured)), np.asarray(measured))
