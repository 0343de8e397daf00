import pytest

from negset.mining.filters.percent_of_positive import PercentOfPositiveParams, percent_of_positive
from negset.mining.filters.rank_window import RankWindowParams, rank_window

SHIFT = RankWindowParams(first=3)
RAW_SHIFT = RankWindowParams(first=3, over="raw")
PERCENT = PercentOfPositiveParams(share=0.95)
SCORES = [0.9, 0.85, 0.81, 0.7, 0.6, 0.5, 0.4]


def kept(frame):
    judged = frame.collect()
    return judged.filter(judged["rejected_by"].is_null())["doc"].to_list()


def test_filter_then_shift_is_not_shift_then_filter(candidates):
    frame = candidates(SCORES, positive_score_dense=0.8).lazy()
    assert kept(rank_window(percent_of_positive(frame, PERCENT), SHIFT)) == [5, 6]
    assert kept(percent_of_positive(rank_window(frame, SHIFT), PERCENT)) == [3, 4, 5, 6]


def test_raw_ranks_count_what_was_rejected(candidates):
    frame = candidates(SCORES, positive_score_dense=0.8).lazy()
    assert kept(rank_window(percent_of_positive(frame, PERCENT), RAW_SHIFT)) == [3, 4, 5, 6]


def test_the_rank_and_the_border_are_written_down(candidates):
    judged = rank_window(candidates([0.9, 0.8, 0.7]).lazy(), RankWindowParams(first=2, last=2)).collect()
    assert judged["rejected_by"].to_list() == ["rank_window", None, "rank_window"]
    assert judged["rejected_value"].to_list() == [1.0, None, 3.0]
    assert judged["rejected_threshold"].to_list() == [2.0, None, 2.0]


@pytest.mark.parametrize("over", ["raw", "survivors"])
def test_another_miners_ranks(candidates, over):
    frame = candidates([0.9, 0.8, 0.7], rank_bm25=[3, 2, 1], score_bm25=[1.0, 2.0, 3.0])
    assert kept(rank_window(frame.lazy(), RankWindowParams(last=1, over=over, by="bm25"))) == [2]


def test_no_raw_rank_is_no_place_in_the_window(candidates):
    frame = candidates([0.9, 0.8], rank_dense=[None, 1])
    judged = rank_window(frame.lazy(), RankWindowParams(over="raw")).collect()
    assert judged["rejected_by"].to_list() == ["rank_window", None]
    assert judged["rejected_value"].to_list() == [None, None]
