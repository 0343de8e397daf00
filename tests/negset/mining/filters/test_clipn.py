import pytest

from negset.mining.filters.clipn import ClipnParams, clipn
from negset.mining.filters.max_score import MaxScoreParams, max_score
from negset.teaching.teachers.yes_no import chance_of_yes


def rejected(frame):
    return clipn(frame.lazy(), ClipnParams()).collect()


def test_a_candidate_stays_where_its_no_is_likelier_and_a_tie_goes(candidates):
    yes = chance_of_yes([5.0, 1.0, 0.0], [6.0, 0.0, 0.0])
    assert [round(float(value), 3) for value in yes] == [0.269, 0.731, 0.5]
    judged = rejected(candidates([0.9, 0.8, 0.7], score_yes_no=yes.tolist()))
    assert judged["rejected_by"].to_list() == [None, "clipn", "clipn"]
    assert judged["rejected_value"].to_list()[1:] == pytest.approx([0.7311, 0.5], abs=1e-4)


def test_the_best_by_its_own_score_would_be_taken_for_a_positive(candidates):
    """The mutant looks at the softmax of the yes alone, which is .976 for the first: it would drop a safe negative."""
    yes = chance_of_yes([5.0, 1.0, 0.0], [6.0, 0.0, 0.0]).tolist()
    frame = candidates([0.976, 0.018, 0.006], score_yes_no=yes)
    mutant = max_score(frame.lazy(), MaxScoreParams(threshold=0.5)).collect()
    assert mutant["rejected_by"].to_list() == ["max_score", None, None]
    assert rejected(frame)["rejected_by"].to_list() == [None, "clipn", "clipn"]


def test_swapping_yes_and_no_turns_the_verdict(candidates):
    yes, no = [5.0, 1.0], [6.0, 0.0]
    verdicts = [
        rejected(candidates([0.5] * 2, score_yes_no=chance_of_yes(*heads).tolist()))["rejected_by"].is_null().to_list()
        for heads in ((yes, no), (no, yes))
    ]
    assert verdicts == [[True, False], [False, True]]


def test_what_has_no_score_is_not_shown_to_be_safe(candidates):
    assert rejected(candidates([0.5], score_yes_no=None))["rejected_by"].to_list() == ["clipn"]
