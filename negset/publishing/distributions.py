"""How positives, negatives and rejected candidates score, miner by miner, without all scores in memory."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.publishing.charts import BINS, Counted, counted_histogram
from negset.publishing.html import Html, tag, text

STATES: Final = {"rejected": "rejected candidates", "negative": "negatives", "positive": "positives"}
"""What is drawn of the candidates, the last on top; what survived and was not sampled is left out."""

Counts = Mapping[tuple[str, str], NDArray[np.int64]]


def score_charts(candidates: pl.LazyFrame) -> Html:
    """Draw the scores of the `candidates` by state: of all miners, and of each where there are several."""
    counts, low, high = count_scores(candidates)
    miners = sorted({miner for miner, _ in counts})
    if not miners:
        return tag("p", text("No candidate has a score."), class_="quiet")
    shown = [("all miners", miners), *((miner, [miner]) for miner in miners if len(miners) > 1)]
    charts = [counted_histogram(f"Scores, {name}", _series(counts, group), low, high) for name, group in shown]
    return tag("div", *charts, class_="charts")


def count_scores(candidates: pl.LazyFrame) -> tuple[Counts, float, float]:
    """Count the scores of each (miner, state) in `BINS` bins of equal width between the ends, which are given too.

    A score at the border of two bins counts in the upper one, the highest in the last.
    """
    state = (
        pl.when("is_positive")
        .then(pl.lit("positive"))
        .when(pl.col("rejected_by").is_not_null())
        .then(pl.lit("rejected"))
        .when(pl.col("position").is_not_null())
        .then(pl.lit("negative"))
    )
    scored = candidates.select("miner", "score", state=state).filter(
        pl.col("score").is_finite() & pl.col("state").is_not_null()
    )
    low, high = scored.select(low=pl.col("score").min(), high=pl.col("score").max()).collect(engine="streaming").row(0)
    if low is None:
        return {}, 0.0, 1.0
    high = high if high > low else low + 1.0
    # Scores are float32, among which the least difference does not divide; a block at a time is widened.
    place = ((pl.col("score").cast(pl.Float64) - low) / (high - low) * BINS).cast(pl.Int32).clip(0, BINS - 1)
    found = scored.group_by("miner", "state", place=place).len().collect(engine="streaming")
    counts: dict[tuple[str, str], NDArray[np.int64]] = {}
    for miner, kind, bin_, rows in found.with_columns(pl.col("miner").cast(pl.String)).iter_rows():
        counts.setdefault((miner, kind), np.zeros(BINS, dtype=np.int64))[bin_] += rows
    return counts, low, high


def _series(counts: Counts, miners: list[str]) -> list[Counted]:
    none = np.zeros(BINS, dtype=np.int64)
    return [
        Counted(label, state, sum((counts.get((miner, state), none) for miner in miners), none))
        for state, label in STATES.items()
    ]


def spread(values: pl.Series) -> tuple[float, float, float]:
    """Give the 5, 50 and 95 % quantiles of `values`, nan where there are none."""
    known = values.drop_nulls().cast(pl.Float64)
    found = [known.quantile(share, "linear") for share in (0.05, 0.5, 0.95)]
    low, middle, high = (math.nan if value is None else value for value in found)
    return low, middle, high
