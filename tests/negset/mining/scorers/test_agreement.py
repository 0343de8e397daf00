import statistics

import pytest

from negset.mining.scorers.agreement import AgreementParams, agreement


def agreed(frame, **options):
    return agreement(frame.lazy(), AgreementParams(**options)).collect()


def test_the_share_of_those_with_it_among_their_first(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7], rank_bm25=[9, 1, None], score_bm25=[1.0, 9.0, 0.0], score_cross_encoder=[0.2, 0.9, 0.1]
    )
    found = agreed(frame, miners="dense,bm25,cross_encoder", first=2)["score_agreement"].to_list()
    assert found == pytest.approx([2 / 3, 1.0, 0.0], abs=1e-6)


def test_mean_z_gives_each_the_same_weight(candidates):
    dense, lexical = [0.9, 0.5, 0.1], [10.0, 30.0, 20.0]
    found = agreed(candidates(dense, score_bm25=lexical, rank_bm25=1), how="mean_z")["score_agreement"].to_list()
    z = lambda values: [(value - statistics.mean(values)) / statistics.pstdev(values) for value in values]  # noqa: E731
    expected = [(one + two) / 2 for one, two in zip(z(dense), z(lexical), strict=True)]
    assert found == pytest.approx(expected, abs=1e-6)
    # unscaled, the second would lead by BM25 alone; scaled, so would it, but the first beats the third
    assert found[0] > found[2]
    assert dense[0] + lexical[0] < dense[2] + lexical[2]


def test_standards_are_those_of_the_query(candidates):
    frame = candidates([0.9, 0.7, 0.2, 0.0], query=[0, 0, 1, 1], doc=[0, 1, 0, 1])
    assert agreed(frame, how="mean_z", miners="dense")["score_agreement"].to_list() == [1.0, -1.0, 1.0, -1.0]


def test_who_did_not_score_is_not_counted_and_equal_scores_say_nothing(candidates):
    frame = candidates([0.5, 0.5, None], score_cross_encoder=[0.2, 0.4, None])
    found = agreed(frame, how="mean_z", miners="dense,cross_encoder")["score_agreement"].to_list()
    assert found == [-0.5, 0.5, None]


def test_the_lowest_proposed_positive_sets_the_positives_score(candidates):
    frame = candidates([0.9, 0.8, 0.7], is_positive=[True, True, False])
    assert agreed(frame, miners="dense", first=1)["positive_score_agreement"].to_list() == [0.0] * 3
    assert agreed(candidates([0.9]))["positive_score_agreement"].to_list() == [None]
