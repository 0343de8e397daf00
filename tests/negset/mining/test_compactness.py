import polars as pl
import pytest

from negset.mining.compactness import compact_queries


def test_the_least_margin_over_views_and_not_their_mean(candidates):
    # Three queries, two views, with margins (.4, .3), (.5, -.1) and (.2, .2) from negatives of mean 0, deviation 1.
    margins = [(0.4, 0.3), (0.5, -0.1), (0.2, 0.2)]
    frame = candidates(
        [1.0, -1.0] * 3,
        query=[0, 0, 1, 1, 2, 2],
        doc=[0, 1] * 3,
        positive_score_dense=[first for first, _ in margins for _ in range(2)],
        score_bm25=[1.0, -1.0] * 3,
        positive_score_bm25=[second for _, second in margins for _ in range(2)],
    )
    found = compact_queries(frame, ["dense", "bm25"])
    assert found["compactness"].to_list() == pytest.approx([0.3, -0.1, 0.2])
    assert found["untrained"].to_list() == [False, True, False]
    # their means, .35, .2 and .2, would flag none
    assert all(sum(pair) / 2 > 0 for pair in margins)


def test_equal_views_are_the_plain_margin(candidates):
    frame = candidates([0.4, 0.2], positive_score_dense=0.5, score_bm25=[0.4, 0.2], positive_score_bm25=0.5)
    both, one = (compact_queries(frame, views)["compactness"].to_list() for views in (["dense", "bm25"], ["dense"]))
    assert both == one == pytest.approx([2.0])


def test_views_of_any_scale_compare(candidates):
    near = {"positive_score_dense": 0.31, "score_bm25": [40.0, 20.0]}
    found = compact_queries(candidates([0.4, 0.2], positive_score_bm25=50.0, **near), ["dense", "bm25"])
    assert found["compactness"].to_list() == pytest.approx([0.1])  # .1 deviations by dense, 2 by BM25


def test_only_survivors_are_negatives_and_none_is_null(candidates):
    frame = candidates([0.9, 0.2], positive_score_dense=0.5, rejected_by=["margin", None])
    assert compact_queries(frame, ["dense"])["compactness"].to_list() == pytest.approx([0.3 / 0.35])
    nothing = compact_queries(frame.with_columns(rejected_by=pl.lit("margin")), ["dense"])
    assert nothing.rows() == [(0, None, None)]
