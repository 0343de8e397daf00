import numpy as np
import polars as pl
import pytest

from negset.rounds.figures import Mined, mining_figures, overlap, score_figures
from negset.rounds.survey import Survey

SCHEMA = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float32, "positive_score": pl.Float32}


def negatives(*rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_overlap_is_the_mean_over_queries_not_over_negatives():
    former = negatives(("q0", "d1", 0, 0), ("q0", "d2", 0, 0), ("q1", "d1", 0, 0))
    latter = negatives(*(("q0", f"d{row}", 0, 0) for row in (1, 3, 4, 5)), ("q1", "d1", 0, 0), ("q2", "d1", 0, 0))
    assert overlap(former, latter) == pytest.approx((1 / 4 + 1) / 2)


def test_a_pair_of_another_query_is_no_overlap():
    assert overlap(negatives(("q0", "d1", 0, 0), ("q1", "d2", 0, 0)), negatives(("q0", "d2", 0, 0))) == 0


def test_queries_without_negatives_before_are_left_out():
    assert overlap(negatives(("q0", "d1", 0, 0)), negatives(("q9", "d1", 0, 0))) is None


def test_scores_are_those_of_the_negatives_with_one():
    found = score_figures(negatives(("q0", "d1", 0.5, 0.5), ("q0", "d2", 0.25, 0.5), ("q1", "d3", None, 0.5)))
    assert found.negative_mean == pytest.approx(0.375)
    assert found.negative_deviation == pytest.approx(0.125)
    assert found.positive_mean == 0.5
    assert found.above_positive == 0.5
    assert score_figures(negatives(("q0", "d1", None, None))) is None


def test_figures_are_of_the_trained_queries_alone(six):
    survey = Survey(np.arange(3), np.array([[0, 1], [3, 1], [3, 4]], dtype=np.int32))
    after = Survey(np.arange(3), np.array([[0, 2], [1, 3], [2, 5]], dtype=np.int32))
    first = Mined(negatives(("q0", "d1", 0.1, 0.5), ("q1", "d3", 0.2, 0.5), ("q2", "d3", 0.9, 0.5)), survey)
    second = Mined(negatives(("q0", "d2", 0.1, 0.5), ("q1", "d3", 0.3, 0.5), ("q2", "d4", 0.9, 0.5)), after)
    trained = np.array([0, 1])
    told = mining_figures(six, trained, first, None)
    assert (told.staleness, told.overlap) == (None, None)
    assert (told.positive_rank, told.positive_found, told.negatives) == (1.5, 1.0, 2)
    told = mining_figures(six, trained, second, first)
    assert told.staleness == 0.25
    assert told.overlap == 0.5
    assert told.positive_rank == 1.0
    assert told.scores.negative_mean == pytest.approx(0.2)


def test_a_positive_beyond_the_pool_counts_as_one_rank_behind_it(six):
    survey = Survey(np.arange(3), np.array([[3, 4], [1, 4], [3, 4]], dtype=np.int32))
    told = mining_figures(six, np.arange(3), Mined(negatives(), survey), None)
    assert told.positive_rank == pytest.approx((3 + 1 + 3) / 3, abs=1e-6)
    assert told.positive_found == pytest.approx(1 / 3, abs=1e-6)
    assert told.scores is None
