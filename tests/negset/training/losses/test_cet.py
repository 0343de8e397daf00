import math

import pytest
import torch

from negset.training.losses.cet import CetParams, cet

SCORES = torch.tensor([[0.9, 0.5, 0.1, 0.3], [0.2, 0.8, 0.4, 0.6]], dtype=torch.float64)
OWN = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1]], dtype=torch.bool)
WEIGHTS = torch.tensor([[1, 1, 1.5, 0.5], [1, 1, 1, 4.0]], dtype=torch.float64)


def given(loss_inputs, **others):
    inputs = {"own_BC": OWN, "weight_BC": WEIGHTS, "temperature": 0.5, **others}
    return loss_inputs(torch.eye(2, dtype=torch.float64), SCORES.T, **inputs)


def pair(positive: float, negative: float) -> float:
    return math.log(1 + math.exp((negative - positive) / 0.5))


def test_own_pairs_are_weighed_and_others_do_not_count(loss_inputs):
    """Inside the softmax, the weight would move the shares of the other negatives."""
    losses = cet(given(loss_inputs), CetParams())
    first = 1.5 * pair(0.9, 0.1) + 0.5 * pair(0.9, 0.3)
    second = 4 * pair(0.8, 0.6)
    assert losses.mean() == pytest.approx((first + second) / 3)
    assert losses.tolist() == pytest.approx([first * 2 / 3, second * 2 / 3])


def test_a_weight_of_zero_takes_a_negative_away_and_a_double_one_doubles_its_pull(loss_inputs):
    def pull(weight: float) -> torch.Tensor:
        weights = WEIGHTS.clone()
        weights[1, 3] = weight
        inputs = given(loss_inputs, weight_BC=weights)
        inputs.candidates_CD.requires_grad_()
        cet(inputs, CetParams())[1].backward()
        return inputs.candidates_CD.grad[3]

    assert pull(0.0).tolist() == [0.0, 0.0]
    assert torch.allclose(pull(2.0), 2 * pull(1.0))


def test_an_own_negative_that_is_a_known_positive_makes_no_pair(loss_inputs):
    masked = torch.zeros(2, 4, dtype=torch.bool)
    masked[0, 2] = True
    losses = cet(given(loss_inputs, masked=masked), CetParams())
    assert losses.mean() == pytest.approx((0.5 * pair(0.9, 0.3) + 4 * pair(0.8, 0.6)) / 2)


def test_a_negatives_weight_is_its_querys_own(loss_inputs):
    """Document 3 is a negative of both; weights by document alone would mix .5 and 4."""
    swapped = WEIGHTS.clone()
    swapped[0, 3], swapped[1, 3] = 4.0, 0.5
    there, here = cet(given(loss_inputs), CetParams()), cet(given(loss_inputs, weight_BC=swapped), CetParams())
    assert here[0] > there[0]
    assert here[1] == pytest.approx(float(there[1]) / 8)
