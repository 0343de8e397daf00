import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from negset.mining.diagnostics import score_statistics


def negatives(scores, positive=0.8, query="q"):
    return pl.DataFrame(
        {
            "query_id": [query] * len(scores),
            "split": ["train"] * len(scores),
            "score": pl.Series(scores, dtype=pl.Float32),
            "positive_score": pl.Series([positive] * len(scores), dtype=pl.Float32),
        }
    )


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.sampled_from([0.05, 0.5, 2.0]))
def test_the_five_numbers_are_those_of_the_raw_scores(scores, temperature):
    found = score_statistics(negatives(scores), temperature).row(0, named=True)
    raw = np.array(scores, dtype=np.float64)
    assert found["negative_mean"] == pytest.approx(raw.mean(), abs=1e-12)
    assert found["negative_variance"] == pytest.approx(raw.var(), abs=1e-12)
    assert found["negative_log_mean_exp"] == pytest.approx(math.log(np.exp(raw / temperature).mean()), abs=1e-9)
    assert found["positive_log_exp"] == pytest.approx(np.float32(0.8) / temperature)
    assert found["positive"] == pytest.approx(np.float32(0.8))
    assert found["negatives"] == len(scores)


def test_lexical_scores_do_not_overflow():
    found = score_statistics(negatives([900.0, 899.0], positive=950.0), 0.05).row(0, named=True)
    assert found["negative_log_mean_exp"] == pytest.approx(900 / 0.05 - math.log(2))


def test_a_shift_of_the_negatives_shows_in_their_mean_alone():
    low, high = (score_statistics(negatives([0.1 + by, 0.3 + by])).row(0, named=True) for by in (0.0, 0.1))
    assert high["negative_mean"] - low["negative_mean"] == pytest.approx(0.1, abs=1e-6)
    assert high["negative_variance"] == pytest.approx(low["negative_variance"], abs=1e-6)
    assert high["positive"] == low["positive"]


def test_negatives_without_a_score_count_in_none():
    found = score_statistics(negatives([0.5, None])).row(0, named=True)
    assert (found["negatives"], found["negative_mean"]) == (1, 0.5)
    none = score_statistics(negatives([None, None], positive=None)).row(0)
    assert none == ("q", "train", 0, *[None] * 5)


def test_rows_may_come_in_any_order():
    frame = pl.concat([negatives([0.1, 0.4], query="b"), negatives([0.3], query="a")])
    assert_frame_equal(score_statistics(frame), score_statistics(frame.reverse()))
    assert score_statistics(frame)["query_id"].to_list() == ["a", "b"]
