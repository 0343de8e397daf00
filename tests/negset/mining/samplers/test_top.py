from negset.mining.samplers.top import TopParams, top


def positions(frame, k=2):
    return top(frame.lazy(), TopParams(k=k)).collect()["position"].to_list()


def test_the_hardest_survivors_are_taken(candidates):
    frame = candidates([0.1, 0.9, 0.5, 0.7], rejected_by=[None, "margin", None, None])
    assert positions(frame) == [None, None, 2, 1]


def test_ties_go_to_the_first_document(candidates):
    assert positions(candidates([0.5, 0.5, 0.5], doc=[8, 2, 5])) == [None, 1, 2]


def test_null_scores_come_last(candidates):
    assert positions(candidates([None, -0.9, None])) == [2, 1, None]


def test_too_few_survivors_stay_few(candidates):
    # pos 0.8 and 95 %: a top-5 over masked scores would bring the rejected four back.
    frame = candidates([0.99, 0.98, 0.97, 0.96, 0.5, 0.4], rejected_by=["percent_of_positive"] * 4 + [None] * 2)
    assert positions(frame, k=5) == [None, None, None, None, 1, 2]


def test_each_query_gets_its_own(candidates):
    assert positions(candidates([0.9, 0.8, 0.7, 0.6], query=[0, 0, 1, 1]), k=1) == [1, None, 1, None]
