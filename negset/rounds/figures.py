"""What is said of each round: how its negatives changed, how hard they are, what the model became."""

from dataclasses import dataclass
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from negset.probing.collection import ProbeCollection
from negset.rounds.deciding import Decision
from negset.rounds.survey import Survey, first_ranks, staleness
from negset.training.examples import Rows

MEASURE: Final = "ndcg_at_10"


class Figures(BaseModel):
    """Numbers that are written to rounds.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreFigures(Figures):
    """Scores that the miner gave the negatives of the trained queries; None where none has a score."""

    negative_mean: float
    negative_deviation: float
    positive_mean: float
    above_positive: float
    """Share of the negatives that score at least as high as their query's lowest positive."""


class MiningFigures(Figures):
    """What a round mined, over the trained queries; `staleness` and `overlap` are None in the first round."""

    staleness: float | None
    """Share of the pool of the round before that is not in this one's, mean over queries."""
    overlap: float | None
    """Share of a query's negatives that it had in the round before, mean over queries."""
    positive_rank: float
    """Mean rank of a query's best positive by the model that mined; depth + 1 where it is not in the pool."""
    positive_found: float
    """Share of the queries with a positive in the pool."""
    negatives: int
    scores: ScoreFigures | None


class Behind(Figures):
    """By how much nDCG@10 of the best model before is above this one's, on validation queries."""

    mean: float
    low: float
    high: float
    chance: float


class RoundFigures(Figures):
    """A round: the version that was published, what was mined, what was trained, what that is worth."""

    round: int
    version: str
    mined_by: str
    """Digest of the model that mined; empty for the configured encoder."""
    checkpoint: str
    """Digest of the model that was trained on the version."""
    mining: MiningFigures
    queries_trained: int
    steps: int
    loss_first: float
    """Mean loss in the first epoch of the round."""
    loss_last: float
    validation: float
    held_out: float | None
    fooled: float | None = None
    """In rounds of `ar2`, share of the negatives that the ranker scores as high as the positive."""
    behind: Behind
    worse: bool


class StartFigures(Figures):
    """The model before any round."""

    checkpoint: str
    validation: float
    held_out: float | None


@dataclass(frozen=True)
class Mined:
    """The negatives of a round (`query_id`, `doc_id`, `score`, `positive_score`) and the survey of its miner."""

    negatives: pl.DataFrame
    survey: Survey


def mining_figures(collection: ProbeCollection, trained: Rows, mined: Mined, before: Mined | None) -> MiningFigures:
    """Describe what was `mined` for the queries `trained`, beside the round before."""
    ids = collection.queries.get_column("query_id").gather(trained).to_frame()
    negatives = mined.negatives.join(ids, on="query_id", how="semi")
    ranks_Q = first_ranks(collection, mined.survey, trained)
    stale = None if before is None else _rounded(float(staleness(before.survey, mined.survey, trained).mean()))
    return MiningFigures(
        staleness=stale,
        overlap=None if before is None else overlap(before.negatives, negatives),
        positive_rank=_rounded(float(ranks_Q.mean())),
        positive_found=_rounded(float((ranks_Q <= mined.survey.depth).mean())),
        negatives=negatives.height,
        scores=score_figures(negatives),
    )


def overlap(former: pl.DataFrame, latter: pl.DataFrame) -> float | None:
    """Give which share of a query's `latter` negatives are among its `former` ones, mean over queries with both."""
    known = former.select("query_id").unique()
    mine = latter.join(known, on="query_id", how="semi").select("query_id", "doc_id")
    if mine.is_empty():
        return None
    there = former.select("query_id", "doc_id").unique().with_columns(there=pl.lit(value=True))
    shares = mine.join(there, on=["query_id", "doc_id"], how="left").group_by("query_id")
    share_Q = shares.agg(pl.col("there").fill_null(value=False).mean())["there"].sort().to_numpy()
    return _rounded(float(share_Q.mean()))


def score_figures(negatives: pl.DataFrame) -> ScoreFigures | None:
    """Describe the scores of `negatives` beside those of their queries' positives."""
    scored = negatives.drop_nulls(["score", "positive_score"]).sort("query_id", "doc_id")
    if scored.is_empty():
        return None
    score, positive = (scored.get_column(name).cast(pl.Float64).to_numpy() for name in ("score", "positive_score"))
    return ScoreFigures(
        negative_mean=_rounded(float(score.mean())),
        negative_deviation=_rounded(float(score.std())),
        positive_mean=_rounded(float(positive.mean())),
        above_positive=_rounded(float((score >= positive).mean())),
    )


def behind_figures(decision: Decision) -> Behind:
    """Round what was decided by."""
    gap = decision.behind.difference
    return Behind(
        mean=_rounded(gap.mean),
        low=_rounded(gap.low),
        high=_rounded(gap.high),
        chance=_rounded(decision.behind.chance),
    )


def _rounded(value: float) -> float:
    return round(value, 6)
