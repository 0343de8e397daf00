"""Tiny candidate frames, written by hand."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from negset.lots import id_keys

Frame = Callable[..., pl.DataFrame]
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
            is_positive=pick([False, False, False, True]),
            is_own_text=pick([False, False, False, True]),
            near_positive=pick([False, False, False, True]),
            near_group=pick([0, 1, 2, 3, 4, 5]),
            rejected_by=pick([None, None, None, "earlier"]),
        )

    return draw
