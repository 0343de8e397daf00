from negset.mining.filters.max_score import MaxScoreParams, max_score


def test_above_the_threshold_goes_equality_stays(candidates):
    frame = candidates([0.71, 0.7, 0.7 + 5e-7, 0.2])
    judged = max_score(frame.lazy(), MaxScoreParams(threshold=0.7)).collect()
    assert judged["rejected_by"].to_list() == ["max_score", None, None, None]
    assert judged["rejected_value"].to_list() == [0.71, None, None, None]
    assert judged["rejected_threshold"].to_list() == [0.7, None, None, None]


def test_without_a_score_nothing_is_shown_to_be_safe(candidates):
    judged = max_score(candidates([None]).lazy(), MaxScoreParams()).collect()
    assert judged["rejected_by"].to_list() == ["max_score"]
    assert judged["rejected_value"].to_list() == [None]


def test_another_miners_scores(candidates):
    frame = candidates([0.9, 0.9], score_bm25=[12.0, 8.0])
    judged = max_score(frame.lazy(), MaxScoreParams(threshold=10, by="bm25")).collect()
    assert judged["rejected_by"].to_list() == ["max_score", None]
