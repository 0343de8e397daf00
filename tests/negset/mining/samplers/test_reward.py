import math

import pytest

from negset.mining.filters.margin import MarginParams, margin
from negset.mining.samplers.reward import RewardParams, reward


def draw(frame, **options):
    return reward(frame.lazy(), RewardParams(**options)).collect()


def test_what_fools_the_ranker_is_likelier(candidates):
    # log sigmoid(2 - 2) = log .5 and log sigmoid(2 + 3): the sign decides which of them is drawn.
    frame = candidates([0.5] * 4, score_cross_encoder=[2.0, 2.0, -3.0, -3.0], positive_score_cross_encoder=2.0)
    weights = [1 + math.exp(score - 2) for score in (2, 2, -3, -3)]  # exp(-log sigmoid(2 - score))
    expected = [weight / sum(weights) for weight in weights]
    assert draw(frame, k=4)["sample_prob"].to_list() == pytest.approx(expected)
    assert expected[0] > expected[2]


def test_a_lower_temperature_is_sharper(candidates):
    frame = candidates([0.5] * 3, score_cross_encoder=[1.0, 0.9, -5.0], positive_score_cross_encoder=1.5)
    assert draw(frame, k=1, temperature=1e-4)["position"].to_list() == [1, None, None]
    hot, usual = (draw(frame, k=3, temperature=heat)["sample_prob"].to_list() for heat in (50.0, 1.0))
    assert hot == pytest.approx([1 / 3] * 3, abs=0.01)
    assert usual[0] > hot[0]


def test_behind_a_margin_only_the_safe_band_is_drawn_from(candidates):
    frame = candidates([0.5] * 3, score_cross_encoder=[2.0, 1.46, -1.0], positive_score_cross_encoder=1.5)
    safe = margin(frame.lazy(), MarginParams(by="cross_encoder", margin=0.05))
    judged = draw(safe, k=3)
    assert judged["rejected_by"].to_list() == ["margin", "margin", None]
    assert judged["position"].to_list() == [None, None, 1]


def test_without_a_reward_there_is_no_chance(candidates):
    frame = candidates(
        [0.5] * 4,
        query=[0, 0, 1, 1],
        doc=[0, 1, 0, 1],
        score_cross_encoder=[0.1, None, 0.1, 0.2],
        positive_score_cross_encoder=[0.5, 0.5, None, None],
    )
    assert draw(frame, k=2)["position"].to_list() == [1, None, None, None]


def test_extreme_scores_neither_overflow_nor_vanish(candidates):
    frame = candidates([0.5] * 3, score_cross_encoder=[5000.0, -5000.0, -6000.0], positive_score_cross_encoder=0.0)
    drawn = draw(frame, k=3)
    assert sorted(drawn["position"].to_list()) == [1, 2, 3]
    assert drawn["sample_prob"].to_list() == [1.0, 0.0, 0.0]
