"""Draw equally many negatives from each stratum of a score (as RealToxicityPrompts, arXiv 2009.11462, does prompts)."""

import math
from itertools import pairwise

import polars as pl
from pydantic import Field, field_validator

from negset.mining.draws import chance, choose
from negset.mining.rules import ChanceParams, rule, scored, survives


class ScoreStrataParams(ChanceParams):
    """How many are drawn, by whose scores, and where the strata meet."""

    by: str = Field("", description="miner or scorer whose scores are stratified; empty for the recipe's")
    borders: str = Field("0.25,0.5,0.75", description="scores at which strata meet, rising, separated by commas")

    @field_validator("borders")
    @classmethod
    def _rising(cls, text: str) -> str:
        values = [float(part) for part in text.split(",")]
        if not all(map(math.isfinite, values)) or not all(lower < upper for lower, upper in pairwise(values)):
            message = "borders must rise and be finite"
            raise ValueError(message)
        return text

    @property
    def edges(self) -> list[float]:
        """The borders as numbers."""
        return [float(part) for part in self.borders.split(",")]


@rule("score_strata", kind="sampler", needs=["score{by}"], params=ScoreStrataParams)
def score_strata(candidates: pl.LazyFrame, params: ScoreStrataParams) -> pl.LazyFrame:
    """Draw the same number of survivors from each stratum of their scores, uniformly without replacement.

    A border belongs to the stratum above it. What `k` leaves after division goes to the highest strata, one each.
    A stratum with too few leaves the query short: no other fills the gap. A survivor without a score is in none.
    """
    score, strata = scored("score", params.by), len(params.edges) + 1
    each, left = divmod(params.k, strata)
    stratum = pl.sum_horizontal([(score >= edge).cast(pl.Int32) for edge in params.edges])
    placed = candidates.with_columns(_stratum=pl.when(score.is_not_null()).then(stratum))
    quota = each + (pl.col("_stratum") >= strata - left).cast(pl.Int32)
    size = survives().sum().over("query", "_stratum")
    chosen = choose(
        placed,
        chance(params.seed, "score_strata"),
        quota,
        (quota / size).clip(upper_bound=1.0),
        among=pl.col("_stratum").is_not_null(),
        pool=pl.col("_stratum"),
    )
    return chosen.drop("_stratum")
