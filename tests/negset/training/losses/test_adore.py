import math

import pytest
import torch

from negset.training.losses.adore import AdoreParams, adore, rank_worth


def ranked(scores, target, **others):
    """Give the inputs of one query whose cosines with its candidates are `scores`; all but `target` are negatives."""
    candidates = torch.tensor([[score, math.sqrt(max(0.0, 1 - score * score))] for score in scores])
    own = torch.ones(1, len(scores), dtype=torch.bool)
    own[0, target] = False
    queries = torch.tensor([[1.0, 0.0]], requires_grad=True)
    return {"queries": queries, "candidates": candidates, "target": torch.tensor([target]), "own_BC": own, **others}


def pair(negative, positive):
    return math.log1p(math.exp(negative - positive))


def test_weights_are_differences_of_reciprocal_ranks(loss_inputs):
    inputs = loss_inputs(**ranked([0.9, 0.7, 0.5], target=1))
    expected = (pair(0.9, 0.7) * (1 / 1 - 1 / 2) + pair(0.5, 0.7) * (1 / 2 - 1 / 3)) / (2 * 2)
    assert adore(inputs, AdoreParams()).item() == pytest.approx(expected, abs=1e-6)


def test_a_positive_behind_the_cut_leaves_each_negative_its_own_reciprocal_rank(loss_inputs):
    """The weights of the spec's table: 1, .5, .333, .25, .2; a cut of None, the code's default, would give 0."""
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.1]
    inputs = loss_inputs(**ranked(scores, target=5))
    weights = [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    pairs = [pair(score, 0.1) for score in scores[:5]]
    expected = sum(weight * cost for weight, cost in zip(weights, pairs, strict=True)) / (2 * 5)
    assert adore(inputs, AdoreParams(cut=5)).item() == pytest.approx(expected, abs=1e-6)
    assert adore(inputs, AdoreParams(cut=6)).item() < expected - 1e-3


def test_d15_without_a_cut_every_rank_is_worth_something(loss_inputs):
    """Defect D15: DRhard's default, metric_cut=None, zeroes `worth[None:]`, which is all of it: nothing is learned."""
    scores = [0.9, 0.8, 0.7, 0.6, 0.1]
    wrong = 1 / torch.arange(1.0, 6.0)
    wrong[None:] = 0
    assert wrong.tolist() == [0, 0, 0, 0, 0]
    row = torch.tensor([scores])
    worth = rank_worth(row, torch.zeros_like(row, dtype=torch.bool), torch.arange(5), AdoreParams().cut)
    assert worth.tolist() == [pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])]
    inputs = loss_inputs(**ranked(scores, target=4))
    expected = sum(pair(score, 0.1) * (1 / rank - 1 / 5) for rank, score in enumerate(scores[:4], start=1)) / (2 * 4)
    assert adore(inputs, AdoreParams()).item() == pytest.approx(expected, abs=1e-6)
    assert adore(inputs, AdoreParams(cut=5)).item() == pytest.approx(expected, abs=1e-6)


def test_order_beyond_the_cut_is_worth_nothing(loss_inputs):
    inputs = loss_inputs(**ranked([0.9, 0.8, 0.2, 0.1], target=3))
    first_two = (pair(0.9, 0.1) * 1 + pair(0.8, 0.1) / 2) / (2 * 3)
    assert adore(inputs, AdoreParams(cut=2)).item() == pytest.approx(first_two, abs=1e-6)


def test_ties_go_to_the_smaller_document_whatever_the_column(loss_inputs):
    """Two negatives of one score beside the positive: who is first follows from the row, not from the column."""
    given = ranked([0.5, 0.5, 0.5], target=0)
    first = loss_inputs(**given, candidate_row_C=torch.tensor([3, 5, 9]))
    last = loss_inputs(**given, candidate_row_C=torch.tensor([9, 5, 3]))
    equal = math.log(2) / 4
    assert adore(first, AdoreParams()).item() == pytest.approx(equal * ((1 - 1 / 2) + (1 - 1 / 3)), abs=1e-6)
    assert adore(last, AdoreParams()).item() == pytest.approx(equal * ((1 - 1 / 3) + (1 / 2 - 1 / 3)), abs=1e-6)


def test_what_is_masked_has_no_rank_no_share_and_no_gradient(loss_inputs):
    given = ranked([0.9, 0.7, 0.5], target=1)
    given["candidates"].requires_grad_()
    loss = adore(loss_inputs(**given, masked=torch.tensor([[True, False, False]])), AdoreParams())
    assert loss.item() == pytest.approx(pair(0.5, 0.7) * (1 - 1 / 2) / 2, abs=1e-6)
    loss.sum().backward()
    assert given["candidates"].grad[0].abs().max() == 0
    assert given["candidates"].grad[2].abs().max() > 0


def test_a_query_with_nothing_but_its_positive_has_loss_zero(loss_inputs):
    given = ranked([0.9, 0.7], target=1, masked=torch.tensor([[True, False]]))
    assert adore(loss_inputs(**given), AdoreParams()).item() == 0


def test_the_gradient_is_that_of_the_pairs_alone(loss_inputs):
    """Weights come from ranks and are constants: the slope is that of the softplus, checked by differences."""
    given = ranked([0.9, 0.7, 0.5], target=1)
    queries = given.pop("queries").double()
    candidates = given.pop("candidates").double()

    def total(point):
        return adore(loss_inputs(point, candidates, temperature=0.5, **given), AdoreParams()).sum()

    point = queries.detach().clone().requires_grad_()
    total(point).backward()
    for column in range(2):
        step = torch.zeros_like(point)
        step[0, column] = 1e-3
        slope = (total(point.detach() + step) - total(point.detach() - step)) / 2e-3
        assert point.grad[0, column].item() == pytest.approx(slope.item(), rel=2e-3)
