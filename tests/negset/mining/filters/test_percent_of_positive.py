from hypothesis import given, settings
from hypothesis import strategies as st

from negset.mining.filters.percent_of_positive import PercentOfPositiveParams, percent_of_positive

SIXTHS = st.integers(-1_000_000, 1_000_000).map(lambda value: value / 1_000_000)


def kept(frame, share=0.95):
    judged = percent_of_positive(frame.lazy(), PercentOfPositiveParams(share=share)).collect()
    return judged.filter(judged["rejected_by"].is_null())["doc"].to_list()


def test_above_the_share_goes_equality_stays(candidates):
    assert kept(candidates([0.85, 0.77, 0.76, 0.2], positive_score_dense=0.8)) == [2, 3]


def test_negative_positive_nothing_above_it_stays(candidates):
    # 0.95 * -0.5 = -0.475 would keep -0.49, which scores above the positive.
    assert kept(candidates([-0.49, -0.5, -0.525, -0.6], positive_score_dense=-0.5)) == [2, 3]


def test_a_positive_of_zero_is_the_ceiling(candidates):
    assert kept(candidates([0.1, 0.0, -0.1], positive_score_dense=0.0)) == [1, 2]


def test_the_lowest_positive_sets_the_ceiling(candidates):
    # positives 0.9 and 0.6: mining hands over the lower
    assert kept(candidates([0.7], positive_score_dense=0.6)) == []
    assert kept(candidates([0.7], positive_score_dense=0.9)) == [0]


def test_scaling_every_score_changes_nothing(candidates):
    scores, positive = [0.97, 0.85, 0.79, 0.7, 0.2], 0.8
    scaled = candidates([score * 0.8 for score in scores], positive_score_dense=positive * 0.8)
    assert kept(candidates(scores, positive_score_dense=positive)) == kept(scaled) == [3, 4]


def test_a_missing_score_on_either_side_goes(candidates):
    assert kept(candidates([None, 0.1], positive_score_dense=[0.8, None])) == []


@settings(max_examples=30, deadline=None)
@given(
    scores=st.lists(SIXTHS, min_size=1, max_size=20),
    positive=SIXTHS,
    shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
)
def test_raising_the_share_removes_nothing_that_was_kept(candidates, scores, positive, shares):
    frame = candidates(scores, positive_score_dense=positive)
    strict, loose = (set(kept(frame, share)) for share in sorted(shares))
    assert strict <= loose
    assert all(scores[doc] <= positive + 1e-6 for doc in loose)
