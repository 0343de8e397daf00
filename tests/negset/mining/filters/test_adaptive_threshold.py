import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.mining.filters.adaptive_threshold import AdaptiveThresholdParams, adaptive_threshold

PLANTED = [0.95, 0.93, 0.21, 0.2, 0.22, 0.19, 0.2, 0.21, 0.18, 0.2]


def judge(frame, **options):
    return adaptive_threshold(frame.lazy(), AdaptiveThresholdParams(**options)).collect()


def flagged(frame, **options):
    judged = judge(frame, **options)
    return judged.filter(judged["rejected_by"] == "adaptive_threshold")["doc"].to_list()


def test_two_that_stand_out_of_ten_are_flagged(candidates):
    assert flagged(candidates(PLANTED)) == [0, 1]


def test_the_deviation_is_that_of_a_sample(candidates):
    scores = [0.9, *[0.3] * 8]
    judged = judge(candidates(scores))
    threshold = statistics.mean(scores) + statistics.stdev(scores)
    assert threshold == pytest.approx(0.5667, abs=1e-4)
    assert statistics.mean(scores) + statistics.pstdev(scores) == pytest.approx(0.5552, abs=1e-4)  # ddof 0: another
    assert judged["rejected_threshold"].to_list() == [pytest.approx(threshold), *[None] * 8]
    assert judged["rejected_value"].to_list() == [0.9, *[None] * 8]
    # 0.52 lies between the two thresholds of its own pool
    close = [0.725, *[0.3] * 7, 0.52]
    assert statistics.mean(close) + statistics.pstdev(close) < 0.52 < statistics.mean(close) + statistics.stdev(close)
    assert flagged(candidates(close)) == [0]


def test_a_threshold_for_all_queries_would_find_too_little_here_and_too_much_there(candidates):
    # 0.65 for all finds the first query's suspect and none of the second's three.
    frame = candidates(
        [0.9, *[0.3] * 8, 0.62, 0.60, 0.61, *[0.3] * 6],
        query=[0] * 9 + [1] * 9,
        doc=[*range(9), *range(9)],
        rank_dense=[*range(1, 10), *range(1, 10)],
    )
    judged = judge(frame)
    suspects = judged.filter(judged["rejected_by"].is_not_null())
    assert suspects.select("query", "doc").rows() == [(0, 0), (1, 0), (1, 1), (1, 2)]


def test_a_constant_pool_and_a_nearly_flat_one_flag_nothing(candidates):
    slope = [0.2 + 0.001 * step for step in range(10)]
    assert flagged(candidates([0.5] * 10)) == []
    assert flagged(candidates(slope)) == []
    assert flagged(candidates(slope), min_gap=0.0) == [8, 9]  # why a gap is asked for
    assert flagged(candidates([0.5] * 10), min_gap=0.0, min_deviation=0.0) == []


def test_fewer_than_three_make_no_threshold(candidates):
    assert flagged(candidates([0.9, 0.1]), deviations=0.5) == []
    assert flagged(candidates([0.9, 0.1, None]), deviations=0.5) == []
    assert flagged(candidates([0.9, 0.1, 0.1]), deviations=0.5) == [0]


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.integers(0, 1000).map(lambda value: value / 1000), min_size=3, max_size=15),
    factor=st.floats(1.0, 50.0),
    shift=st.floats(-5.0, 5.0),
)
def test_another_scale_changes_no_flag(candidates, scores, factor, shift):
    options = {"min_gap": 0.0, "min_deviation": 0.01}
    mean, spread = statistics.mean(scores), statistics.stdev(scores)
    if spread < 0.02 or any(abs(score - mean - spread) < 1e-5 for score in scores):
        return
    moved = [round(score * factor + shift, 9) for score in scores]
    assert flagged(candidates(moved), **options) == flagged(candidates(scores), **options)


def test_two_miners_of_different_scale_flag_what_one_flags(candidates):
    lexical = [3 + 20 * score for score in PLANTED]
    frame = candidates(PLANTED, score_bm25=lexical, rank_bm25=list(range(1, 11)))
    assert flagged(frame) == flagged(frame, miners="dense") == flagged(frame, miners="bm25") == [0, 1]
    # pooled without a scale of each miner's own, all the larger scores would stand out and none of the smaller
    pooled = PLANTED + lexical
    assert statistics.mean(pooled) + statistics.stdev(pooled) > max(PLANTED)


def test_each_miner_has_its_own_threshold_and_the_clearest_is_written_down(candidates):
    lexical = [1.0, 1.1, 1.0, 1.2, 1.0, 1.1, 1.0, 1.0, 1.1, 30.0]
    judged = judge(candidates(PLANTED, score_bm25=lexical, rank_bm25=list(range(1, 11))))
    assert judged.filter(judged["rejected_by"].is_not_null())["doc"].to_list() == [0, 1, 9]
    assert judged["rejected_value"][9] == 30.0
    assert judged["rejected_threshold"][9] == pytest.approx(statistics.mean(lexical) + statistics.stdev(lexical))


def test_a_miner_that_is_missing_leaves_the_other(candidates):
    assert flagged(candidates(PLANTED, score_bm25=None)) == [0, 1]


def test_only_a_miners_first_ranks_and_what_survived_make_its_threshold(candidates):
    # with the tail of low scores in the pool, 0.5 would stand out too
    scores = [0.9, 0.5, 0.5, 0.5, *[0.0] * 20]
    assert flagged(candidates(scores), size=4) == [0]
    assert flagged(candidates(scores)) == [0, 1, 2, 3]
    ruled_out = ["max_score"] + [None] * 9
    assert flagged(candidates(PLANTED, rejected_by=ruled_out)) == [1]


def test_the_gate_asks_for_the_positives_neighbourhood(candidates):
    spread = statistics.stdev(PLANTED)
    far = candidates(PLANTED, positive_score_dense=0.94 + spread)
    assert flagged(far) == [0, 1]
    assert flagged(far, gate="positive", nearness=0.95) == []
    between = candidates(PLANTED, positive_score_dense=0.94 + spread / 2)
    assert flagged(between, gate="positive", nearness=0.5) == [0]
    assert flagged(candidates(PLANTED, positive_score_dense=None), gate="positive") == [0, 1]


def test_in_the_planted_world_the_gate_keeps_what_is_merely_hard(planted_world, planted_shares):
    gated = planted_shares(judge(planted_world(0.81), gate="positive"))
    assert min(gated) >= 0.99
    # Without it the threshold of 50 candidates lies below the hard ones: not a rule to use alone on such lists.
    recall, keep = planted_shares(judge(planted_world(0.81)))
    assert recall == 1.0
    assert keep < 0.5
