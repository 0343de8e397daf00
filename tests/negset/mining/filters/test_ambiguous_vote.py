from negset.mining.filters.ambiguous_vote import AmbiguousVoteParams, ambiguous_vote
from negset.mining.samplers.top import TopParams, top
from negset.mining.scorers.vote import VoteParams, vote


def judge(frame, **options):
    return ambiguous_vote(frame.lazy(), AmbiguousVoteParams(**options)).collect()


def test_only_clear_negatives_stay_equality_included(candidates):
    judged = judge(candidates([0.9] * 5, score_vote=[0.9, 0.31, 0.3, 0.0, None]))
    assert judged["rejected_by"].to_list() == ["ambiguous_vote", "ambiguous_vote", None, None, "ambiguous_vote"]
    assert judge(candidates([0.9], score_vote=[0.5]), negative=0.5)["rejected_by"].to_list() == [None]


def test_what_scorers_disagree_on_is_never_chosen(candidates):
    # one scorer alone would take the first, which the two others put last
    score = [0.9, 0.8, 0.7, 0.2, 0.1]
    frame = candidates(
        score, score_bm25=[0.0, 9.0, 7.0, 2.0, 1.0], score_cross_encoder=[0.1, 0.9, 0.8, 0.3, 0.2]
    ).lazy()
    voted = vote(frame, VoteParams(miners="dense,bm25,cross_encoder"))
    chosen = top(ambiguous_vote(voted, AmbiguousVoteParams()), TopParams(k=4)).collect()
    assert chosen.drop_nulls("position")["doc"].to_list() == [4]
