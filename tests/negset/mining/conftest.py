"""Tiny candidate frames, written by hand."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import polars as pl
import pytest

from negset.lots import id_keys
from negset.teaching.teacher import teachers

Frame = Callable[..., pl.DataFrame]
World = Callable[[float], pl.DataFrame]
KINDS = {
    "query": pl.UInt32,
    "doc": pl.UInt32,
    "miner": pl.Enum(["dense", "bm25", "random"]),
    "rank_dense": pl.Int32,
    "score_dense": pl.Float64,
    "positive_score_dense": pl.Float64,
    "rank_bm25": pl.Int32,
    "score_bm25": pl.Float64,
    "positive_score_bm25": pl.Float64,
    "rank_random": pl.Int32,
    "score_geo": pl.Float64,
    "score_vote": pl.Float64,
    "score_vote_spread": pl.Float64,
    **{f"{column}_{name}": pl.Float64 for name in teachers() for column in ("score", "positive_score")},
    "is_positive": pl.Boolean,
    "is_own_text": pl.Boolean,
    "judged": pl.Boolean,
}
ATTACHED = {
    "near_group": pl.UInt32,
    "near_positive": pl.Boolean,
    "rejected_by": pl.String,
    "rejected_value": pl.Float64,
    "rejected_threshold": pl.Float64,
    "relabelled": pl.Boolean,
    "weight": pl.Float64,
    "position": pl.Int32,
    "sample_prob": pl.Float64,
}
USUAL = {
    "query": 0,
    "miner": "dense",
    "is_positive": False,
    "is_own_text": False,
    "judged": False,
    "near_positive": False,
    "relabelled": False,
    "weight": 1.0,
}


def mined(score: Sequence[float | None], **columns: object) -> pl.DataFrame:
    """Give candidates as mining does: dense `score`s by row, other columns a value for all or a list."""
    rows = len(score)
    given = {**USUAL, "doc": list(range(rows)), "rank_dense": list(range(1, rows + 1)), "score_dense": score, **columns}
    values = {name: given[name] if isinstance(given.get(name), list) else [given.get(name)] * rows for name in KINDS}
    frame = pl.DataFrame(values, schema=KINDS)
    return frame.with_columns(
        rank=pl.col("rank_dense"), score=pl.col("score_dense"), positive_score=pl.col("positive_score_dense")
    )


def attached(score: Sequence[float | None], **columns: object) -> pl.DataFrame:
    """Give candidates as rules see them: `mined` and what selection adds."""
    rows = len(score)
    frame = mined(score, **{name: value for name, value in columns.items() if name not in ATTACHED})
    given = {**USUAL, "near_group": list(range(rows)), **columns}
    values = {name: given[name] if isinstance(given.get(name), list) else [given.get(name)] * rows for name in ATTACHED}
    return frame.with_columns(
        *pl.DataFrame(values, schema=ATTACHED).get_columns(),
        query_key=pl.Series(id_keys([f"q{query}" for query in frame["query"]])),
        doc_key=pl.Series(id_keys([f"d{doc}" for doc in frame["doc"]])),
        hardness=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(
            "query", order_by=[-pl.col("score"), "doc"], nulls_last=True
        ),
    )


@pytest.fixture(scope="session")
def mined_candidates() -> Frame:
    """Give `mined`."""
    return mined


@pytest.fixture(scope="session")
def candidates() -> Frame:
    """Give `attached`."""
    return attached


@pytest.fixture(scope="session")
def some_candidates() -> Callable[[int], pl.DataFrame]:
    """Give a function from a seed to a frame of a few queries with ties, nulls, twins and rejections."""

    def draw(seed: int) -> pl.DataFrame:
        chance = np.random.default_rng(seed)
        sizes = chance.integers(1, 12, size=3)
        rows = int(sizes.sum())
        pick = lambda values: [values[at] for at in chance.integers(0, len(values), rows)]  # noqa: E731
        positive = np.repeat(chance.choice([-0.5, 0.0, 0.6, 0.8], size=3), sizes).tolist()
        return attached(
            pick([None, -0.6, -0.49, 0.0, 0.5, 0.5, 0.7, 0.9]),
            query=np.repeat([0, 1, 2], sizes).tolist(),
            doc=[at for size in sizes for at in sorted(chance.permutation(30)[:size].tolist())],
            rank_random=pick([None, 1, 2]),
            positive_score_dense=positive,
            rank_bm25=pick([None, 1, 2, 3, 4]),
            score_bm25=pick([None, 0.0, 2.5, 2.5, 7.0]),
            positive_score_bm25=np.repeat(chance.choice([0.0, 6.0], size=3), sizes).tolist(),
            score_cross_encoder=pick([None, 0.02, 0.05, 0.5, 0.5, 0.95]),
            positive_score_cross_encoder=np.repeat(chance.choice([0.4, 0.9], size=3), sizes).tolist(),
            score_selection=pick([None, -3.0, 0.0, 1.0, 40.0]),
            score_vote_agreement=pick([None, 0.4, 0.8, 1.0]),
            score_geo=pick([None, -0.5, -12.0, -12.0, -340.0]),
            score_event=pick([None, 0.0, 0.0, 0.5, 1.0]),
            score_vote=pick([None, 0.1, 0.3, 0.5, 0.85]),
            score_vote_spread=pick([None, 0.0, 0.1, 0.4]),
            score_yes_no=pick([None, 0.1, 0.4, 0.5, 0.9]),
            positive_score_yes_no=[None if query == 1 else 0.6 for query in np.repeat([0, 1, 2], sizes)],
            score_prototype=pick([None, 0.0, 0.0, 1.0]),
            score_neighbours=pick([None, 0.0, 0.2, 0.5, 0.9]),
            is_positive=pick([False, False, False, True]),
            is_own_text=pick([False, False, False, True]),
            near_positive=pick([False, False, False, True]),
            near_group=pick([0, 1, 2, 3, 4, 5]),
            rejected_by=pick([None, None, None, "earlier"]),
        )

    return draw


@pytest.fixture(scope="session")
def planted_world() -> World:
    """Give a function that builds world W1, cached: candidates of 200 topics whose unlabelled positives are known.

    A topic is a query, one labelled positive at cosine .85, three unlabelled ones between the given least cosine and
    .95, ten hard negatives between .65 and .75 and 200 easy ones below .3, in 64 dimensions. Each query gets its 50
    nearest of all 42,800 documents; `truth` is "labelled", "unlabelled", "hard" or "easy".
    """
    return cache(_planted_world)


def _planted_world(least: float) -> pl.DataFrame:
    topics, wide, depth = 200, 64, 50
    chance = np.random.default_rng(7)
    query_QD = chance.standard_normal((topics, wide))
    query_QD /= np.linalg.norm(query_QD, axis=1, keepdims=True)
    cosine_QN = np.concatenate(
        [
            np.full((topics, 1), 0.85),
            chance.uniform(least, 0.95, (topics, 3)),
            chance.uniform(0.65, 0.75, (topics, 10)),
            chance.uniform(-0.3, 0.3, (topics, 200)),
        ],
        axis=1,
    )
    aside_QND = chance.standard_normal((*cosine_QN.shape, wide))
    aside_QND -= np.einsum("qnd,qd->qn", aside_QND, query_QD)[..., None] * query_QD[:, None]
    aside_QND /= np.linalg.norm(aside_QND, axis=2, keepdims=True)
    doc_QND = cosine_QN[..., None] * query_QD[:, None] + np.sqrt(1 - cosine_QN**2)[..., None] * aside_QND
    score_QC = np.round(query_QD @ doc_QND.reshape(-1, wide).T, 6)
    found_QK = np.argsort(-score_QC, axis=1)[:, :depth]
    kinds = np.array(["labelled", *["unlabelled"] * 3, *["hard"] * 10, *["easy"] * 200])
    topic_QK, kind_QK = np.divmod(found_QK, len(kinds))
    own_QK = topic_QK == np.arange(topics)[:, None]
    truth = np.where(own_QK, kinds[kind_QK], "easy").ravel()
    return attached(
        np.take_along_axis(score_QC, found_QK, axis=1).ravel().tolist(),
        query=np.repeat(np.arange(topics), depth).tolist(),
        doc=found_QK.ravel().tolist(),
        rank_dense=np.tile(np.arange(1, depth + 1), topics).tolist(),
        positive_score_dense=0.85,
        is_positive=(truth == "labelled").tolist(),
        rejected_by=["known_positive" if kind == "labelled" else None for kind in truth],
    ).with_columns(truth=pl.Series(truth))


def recall_and_keep(judged: pl.DataFrame) -> tuple[float, float]:
    """Give the share of unlabelled positives that were rejected, and the share of hard negatives that were not."""
    rejected = pl.col("rejected_by").is_not_null()
    shares = judged.select(
        recall=rejected.filter(pl.col("truth") == "unlabelled").mean(),
        keep=(~rejected).filter(pl.col("truth") == "hard").mean(),
    )
    return shares.row(0)


@pytest.fixture(scope="session")
def planted_shares() -> Callable[[pl.DataFrame], tuple[float, float]]:
    """Give `recall_and_keep`."""
    return recall_and_keep
