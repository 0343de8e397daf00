import numpy as np
import pytest

from negset.mining.scorers.vote_spread import VoteSpreadParams, vote_spread


def spreads(frame):
    params = VoteSpreadParams(miners="dense,bm25,cross_encoder")
    return vote_spread(frame.lazy(), params).collect()["score_vote_spread"].to_list()


def test_the_spread_is_the_population_deviation_of_the_places(candidates):
    frame = candidates([0.9, 0.8, 0.7], score_bm25=[3.0, 5.0, 1.0], score_cross_encoder=[0.1, 0.2, 0.3])
    expected = [np.std([1, 0.5, 0]), np.std([0.5, 1, 0.5]), np.std([0, 0, 1])]
    assert spreads(frame) == pytest.approx(expected, abs=1e-6)
    assert spreads(frame) != pytest.approx([np.std([1, 0.5, 0], ddof=1)] * 3, abs=1e-6)


def test_agreement_has_none_and_two_scorers_say_nothing(candidates):
    frame = candidates([0.9, 0.8], score_bm25=[9.0, 1.0], score_cross_encoder=[0.4, 0.3])
    assert spreads(frame) == [0.0, 0.0]
    assert spreads(candidates([0.9, 0.8], score_bm25=[9.0, 1.0])) == [None, None]
