from negset.mining.filters.duplicate import DuplicateParams, duplicate


def reasons(frame):
    return duplicate(frame.lazy(), DuplicateParams()).collect()["rejected_by"].to_list()


def test_the_hardest_of_each_group_stays(candidates):
    frame = candidates([0.5, 0.9, 0.7, 0.6], near_group=[7, 3, 7, 3])
    assert reasons(frame) == ["duplicate", None, None, "duplicate"]


def test_equal_scores_keep_the_first_document(candidates):
    assert reasons(candidates([0.5, 0.5], doc=[9, 4], near_group=1)) == ["duplicate", None]


def test_a_twin_of_a_rejected_candidate_stays(candidates):
    frame = candidates([0.9, 0.8], near_group=1, rejected_by=["margin", None])
    assert reasons(frame) == ["margin", None]


def test_groups_do_not_reach_across_queries(candidates):
    assert reasons(candidates([0.9, 0.8], query=[0, 1], near_group=1)) == [None, None]


def test_a_twin_without_score_yields_to_one_with(candidates):
    assert reasons(candidates([None, -0.5], near_group=1)) == ["duplicate", None]
