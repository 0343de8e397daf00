import pytest

from negset.errors import MissingColumnsError
from negset.mining.filters.percent_of_positive import PercentOfPositiveParams, percent_of_positive
from negset.mining.scorers.rank_fusion import RankFusionParams, rank_fusion


def fused(frame, **options):
    return rank_fusion(frame.lazy(), RankFusionParams(**options)).collect()


def test_inverted_ranks_add_up_and_who_did_not_propose_adds_nothing(candidates):
    frame = candidates([0.9, 0.8, 0.7], rank_bm25=[3, None, 1], score_bm25=[1.0, 0.5, 2.0])
    expected = [1 / 61 + 1 / 63, 1 / 62, 1 / 63 + 1 / 61]
    assert fused(frame)["score_rank_fusion"].to_list() == pytest.approx(expected, abs=1e-6)


def test_scores_of_another_scale_would_give_another_order(candidates):
    # added up, 30 points of BM25 outweigh any cosine; their ranks do not
    frame = candidates([0.9, 0.8, 0.1], rank_bm25=[2, 1, 3], score_bm25=[20.0, 30.0, 10.0], rank_dense=[1, 3, 2])
    scores = fused(frame)["score_rank_fusion"].to_list()
    assert scores[0] == pytest.approx(1 / 61 + 1 / 62, abs=1e-6)
    assert scores[1] < scores[0]


def test_the_constant_flattens(candidates):
    frame = candidates([0.9, 0.8], rank_bm25=[None, None])
    sharp, flat = (fused(frame, constant=constant)["score_rank_fusion"].to_list() for constant in (1.0, 60.0))
    assert sharp == pytest.approx([1 / 2, 1 / 3], abs=1e-6)
    assert flat == pytest.approx([1 / 61, 1 / 62], abs=1e-6)


def test_a_teacher_has_the_places_of_its_scores(candidates):
    frame = candidates([0.9, 0.8, 0.7], score_cross_encoder=[0.1, None, 0.8])
    scores = fused(frame, miners="cross_encoder")["score_rank_fusion"].to_list()
    assert scores == pytest.approx([1 / 62, 0.0, 1 / 61], abs=1e-6)


def test_the_positives_score_is_the_lowest_of_those_proposed(candidates):
    frame = candidates([0.9, 0.8, 0.7, 0.6], is_positive=[True, False, True, False])
    assert fused(frame)["positive_score_rank_fusion"].to_list() == pytest.approx([1 / 63] * 4, abs=1e-6)
    # an unproposed positive has a rank nowhere: no score, so a rule that compares rejects, and says nothing
    assert fused(candidates([0.9, 0.8]))["positive_score_rank_fusion"].to_list() == [None, None]


def test_percent_of_positive_compares_by_it(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7, 0.6], is_positive=[False, False, True, False], rejected_by=[None, None, "known_positive", None]
    )
    share = PercentOfPositiveParams(by="rank_fusion", share=0.99)
    judged = percent_of_positive(rank_fusion(frame.lazy(), RankFusionParams()), share).collect()
    assert judged["rejected_by"].to_list() == ["percent_of_positive", "percent_of_positive", "known_positive", None]


def test_a_name_that_gives_no_scores_is_an_error(candidates):
    with pytest.raises(MissingColumnsError, match="score_nobody"):
        fused(candidates([0.9]), miners="dense,nobody")
