"""Intervals for a share that was counted in clusters: positives of one query are not independent of each other."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from negset.arrays import Floats

CONFIDENCE: Final = 0.95
_TAIL: Final = (1 - CONFIDENCE) / 2
FEW: Final = 10
"""Clusters with a hit below which their likeness cannot be seen in the data."""
LIKENESS: Final = 0.1
"""Intraclass correlation that is assumed then."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class ClusteredShare:
    """A share, how many independent trials it is worth, and how many clusters it rests on.

    `effective` is what carries the clustering: so many independent trials would leave the same uncertainty.
    """

    share: float
    trials: float
    effective: float
    clusters: int


def clustered_share(hits_C: Floats, trials_C: Floats, raw: float | None = None) -> ClusteredShare:
    """Estimate sum of hits / sum of trials over clusters C, with the linearised variance of a ratio.

    Hits may be corrected ones, fractional or negative: then `raw` is the share before the correction. Where the
    share is near 0 the variance says little, and half of `raw` is taken for it. No cluster makes one trial worth
    more than one: clusters that happen to look alike are no evidence. Where fewer than FEW clusters have a hit, trials
    of a cluster are taken to correlate by LIKENESS at least. Raises ValueError without a trial.
    """
    trials = float(trials_C.sum())
    if not trials:
        message = "a share of no trials is not defined"
        raise ValueError(message)
    ratio, count = float(hits_C.sum()) / trials, len(trials_C)
    share = min(max(ratio, 0.0), 1.0)
    rest_C = hits_C - ratio * trials_C
    variance = float((rest_C**2).sum()) * count / max(count - 1, 1) / trials**2
    typical = max(share, (ratio if raw is None else raw) / 2)
    spread = typical * (1 - typical)
    size = float((trials_C**2).sum()) / trials
    few = int((hits_C > 0).sum()) < FEW
    most = trials / (1 + LIKENESS * max(size - 1, 0.0)) if few else trials
    effective = min(most, spread / variance) if variance > 0 and spread > 0 else most
    return ClusteredShare(share, trials, effective, count)


def share_interval(found: ClusteredShare, more: float = math.inf) -> Interval:
    """Give the 95 % interval of Korn and Graubard: Clopper and Pearson's, for as many trials as the share is worth.

    Trials are scaled by the t distribution of the clusters' degrees of freedom (Korn and Graubard, Survey
    Methodology 24, 1998). It is never of zero width, not for 0 of n either. With `more`, it is for the share
    among that many further trials of the same kind, whose own chance comes on top; a count is whole, so the ends
    are those of counts.
    """
    if found.clusters < 2:
        return Interval(0.0, 1.0)
    scale = float(stats.norm.ppf(1 - _TAIL) / stats.t.ppf(1 - _TAIL, found.clusters - 1)) ** 2
    trials = found.effective * scale
    if not math.isinf(more):
        trials = 1 / (1 / trials + 1 / max(more, 1.0))
    ends = beta_interval(found.share * trials, trials)
    if math.isinf(more):
        return ends
    whole = max(round(more), 1)
    return Interval(math.floor(ends.low * whole + 1e-9) / whole, math.ceil(ends.high * whole - 1e-9) / whole)


def beta_interval(hits: float, trials: float) -> Interval:
    """Give the interval of Clopper and Pearson for `hits` of `trials`, which need not be whole numbers."""
    low = float(stats.beta.ppf(_TAIL, hits, trials - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf(1 - _TAIL, hits + 1, trials - hits)) if hits < trials else 1.0
    return Interval(low, high)


def mean_interval(values: Floats) -> Interval:
    """Give the 95 % interval of the mean of independent `values` by Student's t."""
    if len(values) < 2:
        return Interval(-math.inf, math.inf)
    half = float(stats.t.ppf(1 - _TAIL, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return Interval(mean - half, mean + half)
