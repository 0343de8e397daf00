import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from negset.publishing.charts import BINS
from negset.publishing.distributions import count_scores, score_charts, spread

SCHEMA = {
    "miner": pl.String,
    "score": pl.Float32,
    "is_positive": pl.Boolean,
    "rejected_by": pl.String,
    "position": pl.Int32,
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.none() | st.floats(-5, 5, width=32),
        st.booleans(),
        st.none() | st.just("rule"),
        st.none() | st.just(1),
    ),
    max_size=30,
)


@given(ROWS)
def test_each_scored_candidate_counts_once_in_its_state_and_bin(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    counts, *_ = count_scores(frame.lazy())
    scored = [row for row in rows if row[1] is not None]
    shown = [row for row in scored if row[2] or row[3] or row[4]]
    for miner in "ab":
        mine = [row for row in shown if row[0] == miner]
        expected = {
            "positive": [row[1] for row in mine if row[2]],
            "rejected": [row[1] for row in mine if not row[2] and row[3]],
            "negative": [row[1] for row in mine if not row[2] and not row[3]],
        }
        for state, values in expected.items():
            found = counts.get((miner, state), np.zeros(BINS, dtype=np.int64))
            assert found.sum() == len(values)
    again, *_ = count_scores(frame.reverse().lazy())
    assert {key: part.tolist() for key, part in again.items()} == {key: part.tolist() for key, part in counts.items()}


def test_known_scores_lie_in_known_bins():
    rows = [("a", 0.0, True, "known_positive", None), ("a", 1.0, False, "rule", None), ("a", 0.5, False, None, 1)]
    counts, low, high = count_scores(pl.LazyFrame(rows, schema=SCHEMA, orient="row"))
    assert (low, high) == (0.0, 1.0)
    places = {state: np.flatnonzero(part).tolist() for (_, state), part in counts.items()}
    assert places == {"positive": [0], "rejected": [BINS - 1], "negative": [BINS // 2]}


def test_each_miner_has_a_chart_and_all_have_one(tiny_set):
    drawn = score_charts(tiny_set.candidate_frame().lazy())
    assert [name in drawn for name in ("Scores, all miners", "Scores, bm25", "Scores, dense", "Scores, random")] == [
        True,
        True,
        True,
        False,  # it gives no scores
    ]
    assert "positives · 2" in drawn
    assert "No candidate has a score" in score_charts(pl.LazyFrame(schema=SCHEMA))


def test_quantiles_leave_out_what_is_not_known():
    assert spread(pl.Series([None, 1.0, 2.0, 3.0])) == (1.1, 2.0, 2.9)
    assert all(math.isnan(value) for value in spread(pl.Series([None], dtype=pl.Float32)))
