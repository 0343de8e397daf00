import numpy as np
import pytest

from negset.mining.filters.unanswerable import UnanswerableParams, unanswerable
from negset.teaching.teachers.yes_no import chance_of_yes

YES = chance_of_yes([5.0, 1.0, 0.0], [6.0, 0.0, 0.0]).tolist()


def judged(frame, temperature=1.0):
    return unanswerable(frame.lazy(), UnanswerableParams(temperature=temperature)).collect()


@pytest.fixture
def unlabelled(candidates):
    """Give the paper's example as the candidates of a query without labels."""
    return candidates([5.0, 1.0, 0.0], score_yes_no=YES).with_columns(positive_score_yes_no=None)


def test_none_at_all_is_likelier_than_any_match(unlabelled):
    """The softmax of the scores alone gives the first .976: a mutant that looks at it finds an answer."""
    softmax = np.exp([5.0, 1.0, 0.0]) / np.exp([5.0, 1.0, 0.0]).sum()
    assert round(softmax[0], 3) == 0.976
    found = judged(unlabelled)
    assert found["rejected_by"].to_list() == ["unanswerable"] * 3
    assert 1 - found["rejected_value"][0] == pytest.approx(0.2787, abs=1e-4)
    assert found["rejected_threshold"][0] == pytest.approx(softmax[0] * YES[0], abs=1e-9)


def test_one_likely_match_is_enough(candidates):
    frame = candidates([5.0, 1.0, 0.0], score_yes_no=[0.6, 0.1, 0.1]).with_columns(positive_score_yes_no=None)
    assert judged(frame)["rejected_by"].to_list() == [None] * 3


def test_a_labelled_query_loses_nothing(unlabelled):
    assert judged(unlabelled.with_columns(positive_score_yes_no=0.4))["rejected_by"].to_list() == [None] * 3


def test_each_query_is_judged_by_itself_and_high_scores_do_not_overflow(candidates):
    frame = candidates([9000.0, 1.0, 9000.0, 1.0], query=[0, 0, 1, 1], score_yes_no=[0.9, 0.9, 0.1, 0.1])
    found = judged(frame.with_columns(positive_score_yes_no=None))
    assert found["rejected_by"].to_list() == [None, None, "unanswerable", "unanswerable"]


def test_what_has_no_score_has_no_part_in_it(candidates):
    frame = candidates([5.0, 5.0, None], score_yes_no=[0.9, None, 0.1]).with_columns(positive_score_yes_no=None)
    assert judged(frame)["rejected_by"].to_list() == [None] * 3
