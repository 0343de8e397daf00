from negset.mining.filters.known_positive import KnownPositiveParams, known_positive


def test_known_positives_go_whatever_they_score(candidates):
    frame = candidates([0.9, 0.8, 0.1], is_positive=[False, True, True])
    judged = known_positive(frame.lazy(), KnownPositiveParams()).collect()
    assert judged["rejected_by"].to_list() == [None, "known_positive", "known_positive"]
    assert judged["rejected_value"].to_list() == [None, None, None]
