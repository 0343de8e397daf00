from negset.mining.filters.positive_duplicate import PositiveDuplicateParams, positive_duplicate


def test_near_duplicates_of_a_positive_go_with_the_margin_off(candidates):
    frame = candidates([0.1, 0.9], near_positive=[True, False])
    judged = positive_duplicate(frame.lazy(), PositiveDuplicateParams()).collect()
    assert judged["rejected_by"].to_list() == ["positive_duplicate", None]
