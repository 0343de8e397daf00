import pytest
import torch

from negset.training.losses.triplet import TripletParams, triplet


def of_scores(loss_inputs, scores: list[list[float]], **others):
    queries = torch.eye(len(scores), dtype=torch.float64)
    return loss_inputs(queries, torch.tensor(scores, dtype=torch.float64).T, **others)


def test_d7_a_query_with_fewer_negatives_than_asked_for_is_not_charged_with_its_positive(loss_inputs):
    """Defect D7: NGAME gives known positives -10 and takes the top 2; with one true negative, its own positive is the
    second, at a distance of 0, and costs the margin, .3."""
    masked = torch.tensor([[False, True, False], [False, False, False], [False, False, False]])
    scores = [[0.9, 0.9, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]]
    losses = triplet(of_scores(loss_inputs, scores, masked=masked), TripletParams(hardest=2))
    assert losses.tolist() == [0.0, 0.0, 0.0]


def test_the_hardest_count_and_the_harder_count_more(loss_inputs):
    scores = torch.tensor([0.5, 0.45, 0.4, 0.3, -0.9], dtype=torch.float64)
    losses = triplet(of_scores(loss_inputs, [scores.tolist()]), TripletParams(hardest=2))
    weights = (scores[1:3] / 0.1).softmax(0)
    expected = weights[0] * (0.3 - 0.05) + weights[1] * (0.3 - 0.1)
    assert losses.tolist() == pytest.approx([float(expected)])


def test_a_negative_beyond_the_margin_costs_nothing_and_is_left_alone(loss_inputs):
    inputs = of_scores(loss_inputs, [[0.8, 0.6, 0.4]])
    inputs.candidates_CD.requires_grad_()
    losses = triplet(inputs, TripletParams())
    losses.sum().backward()
    assert losses[0] < 0.1
    assert inputs.candidates_CD.grad[2].item() == 0
    assert inputs.candidates_CD.grad[1].item() > 0


def test_the_weights_have_no_gradient(loss_inputs):
    inputs = of_scores(loss_inputs, [[0.5, 0.45, 0.4]])
    inputs.candidates_CD.requires_grad_()
    triplet(inputs, TripletParams()).sum().backward()
    weights = (torch.tensor([0.45, 0.4], dtype=torch.float64) / 0.1).softmax(0)
    assert inputs.candidates_CD.grad[:, 0].tolist() == pytest.approx([-1.0, *weights.tolist()])


def test_with_no_negative_at_all_there_is_no_loss_and_no_gradient(loss_inputs):
    inputs = of_scores(loss_inputs, [[0.5, 0.9]], masked=torch.tensor([[False, True]]))
    inputs.candidates_CD.requires_grad_()
    losses = triplet(inputs, TripletParams())
    losses.sum().backward()
    assert losses.tolist() == [0.0]
    assert inputs.candidates_CD.grad.abs().sum() == 0
