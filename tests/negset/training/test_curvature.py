from dataclasses import replace

import pytest
import torch

from negset.training.curvature import draw_targets, sampled_losses
from negset.training.objective import LossInputs, Moment


@pytest.fixture
def inputs():
    drawn = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    shape = (2, 3)
    return LossInputs(
        queries_BD=torch.nn.functional.normalize(drawn[:2]),
        candidates_CD=torch.nn.functional.normalize(drawn[2:]),
        target_B=torch.tensor([0, 1]),
        masked_BC=torch.tensor([[False, False, False], [True, False, False]]),
        own_BC=torch.zeros(shape, dtype=torch.bool),
        weight_BC=torch.ones(shape),
        query_row_B=torch.arange(2),
        candidate_row_C=torch.arange(3),
        query_key_B=torch.tensor([11, 7919]),
        candidate_key_C=torch.tensor([5, 104734, 209463]),
        temperature=0.5,
        moment=Moment(13, 0, 1, 0, 5000),
    )


def test_targets_are_drawn_by_the_softmax(inputs):
    """Over many steps each candidate comes up as often as its share says, and a masked one never."""
    logits_BC = (inputs.scores_BC() / inputs.temperature).masked_fill(inputs.masked_BC, float("-inf"))
    shares_BC = torch.softmax(logits_BC, dim=1)
    counts_BC = torch.zeros(2, 3)
    for step in range(5000):
        drawn_B = draw_targets(replace(inputs, moment=replace(inputs.moment, step=step)), logits_BC)
        counts_BC[torch.arange(2), drawn_B] += 1
    # Three deviations of a share of one half among 5000 draws are 0.021.
    assert (counts_BC / 5000).numpy() == pytest.approx(shares_BC.numpy(), abs=0.021)
    assert counts_BC[1, 0] == 0


def test_a_draw_is_of_its_pair_and_not_of_its_place(inputs):
    turned = replace(
        inputs,
        queries_BD=inputs.queries_BD.flip(0),
        query_key_B=inputs.query_key_B.flip(0),
        masked_BC=inputs.masked_BC.flip(0),
        moment=replace(inputs.moment, step=17),
    )
    straight = replace(inputs, moment=turned.moment)
    assert sampled_losses(turned).flip(0).numpy() == pytest.approx(sampled_losses(straight).numpy(), abs=1e-6)


def test_the_loss_is_that_of_the_drawn_target(inputs):
    logits_BC = (inputs.scores_BC() / inputs.temperature).masked_fill(inputs.masked_BC, float("-inf"))
    target_B = draw_targets(inputs, logits_BC)
    expected = -torch.log_softmax(logits_BC, dim=1)[torch.arange(2), target_B]
    assert sampled_losses(inputs).numpy() == pytest.approx(expected.numpy(), abs=1e-6)
