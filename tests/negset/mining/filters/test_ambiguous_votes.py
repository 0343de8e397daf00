from negset.mining.filters.ambiguous_votes import AmbiguousVotesParams, ambiguous_votes
from negset.mining.labellers.pseudo_positive import PseudoPositiveParams, pseudo_positive


def rejected(frame, **options):
    return ambiguous_votes(frame.lazy(), AmbiguousVotesParams(**options)).collect()


def test_what_too_few_agree_on_goes_and_equality_stays(candidates):
    judged = rejected(candidates([0.5] * 4, score_vote_agreement=[0.79, 0.8, 1.0, 0.0]))
    assert judged["rejected_by"].to_list() == ["ambiguous_votes", None, None, "ambiguous_votes"]
    assert judged["rejected_value"].to_list() == [0.79, None, None, 0.0]
    assert judged["rejected_threshold"].to_list() == [0.8, None, None, 0.8]


def test_what_nobody_voted_on_stays(candidates):
    assert rejected(candidates([0.5], score_vote_agreement=None))["rejected_by"].to_list() == [None]


def test_what_is_ambiguous_is_no_positive_either(candidates):
    """A majority would call the first pair relevant: seven of ten votes say yes."""
    frame = candidates([0.5] * 3, score_vote_agreement=[0.7, 0.9, 0.9], score_guide=[0.7, 0.9, 0.1])
    judged = pseudo_positive(rejected(frame).lazy(), PseudoPositiveParams(by="guide", threshold=0.5)).collect()
    assert judged["relabelled"].to_list() == [False, True, False]
    assert judged["rejected_by"].to_list() == ["ambiguous_votes", "pseudo_positive", None]
