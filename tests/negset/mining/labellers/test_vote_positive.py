from negset.mining.labellers.vote_positive import VotePositiveParams, vote_positive


def test_high_and_agreed_is_positive_all_else_is_left_alone(candidates):
    frame = candidates(
        [0.9] * 6,
        score_vote=[0.8, 0.95, 0.79, 0.9, None, 0.9],
        score_vote_spread=[0.15, 0.16, 0.0, 0.1, 0.0, 0.0],
        judged=[False, False, False, True, False, False],
        rejected_by=[None, None, None, None, None, "earlier"],
    )
    judged = vote_positive(frame.lazy(), VotePositiveParams()).collect()
    assert judged["relabelled"].to_list() == [True, False, False, False, False, False]
    assert judged["rejected_by"].to_list() == ["vote_positive", None, None, None, None, "earlier"]
