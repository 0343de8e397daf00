import pytest
import torch

from negset.errors import ConfigError
from negset.training.losses.margin_mse import MarginMseParams, margin_mse

NAN = float("nan")


def one_dimension(loss_inputs, scores: list[list[float]], teacher: list[list[float]], **others):
    """Give inputs whose cosines are `scores`: a query is a unit vector that picks its row."""
    queries = torch.eye(len(scores), dtype=torch.float64)
    return loss_inputs(queries, torch.tensor(scores, dtype=torch.float64).T, teacher_BC=torch.tensor(teacher), **others)


def test_the_loss_is_the_mean_squared_error_of_margins(loss_inputs):
    inputs = one_dimension(loss_inputs, [[0.9, 0.5, 0.1], [0.2, 0.8, 0.4]], [[8.0, 7.0, 2.0], [1.0, 6.0, 3.0]])
    losses = margin_mse(inputs, MarginMseParams(scale=0.1))
    first = ((0.4 - 0.1) ** 2 + (0.8 - 0.6) ** 2) / 2
    second = ((0.6 - 0.5) ** 2 + (0.4 - 0.3) ** 2) / 2
    assert losses.tolist() == pytest.approx([first, second], abs=1e-6)


def test_a_negative_that_the_teacher_puts_above_the_positive_is_to_be_above_it(loss_inputs):
    """By the size of the teacher's margin alone, the student would be taught the opposite."""
    as_taught = one_dimension(loss_inputs, [[0.3, 0.7]], [[2.0, 6.0]])
    assert margin_mse(as_taught, MarginMseParams(scale=0.1)).item() == pytest.approx(0, abs=1e-12)
    inverted = one_dimension(loss_inputs, [[0.7, 0.3]], [[2.0, 6.0]])
    assert margin_mse(inverted, MarginMseParams(scale=0.1)).item() == pytest.approx(0.8**2)


def test_a_constant_added_to_the_teachers_scores_changes_nothing(loss_inputs):
    scores, teacher = [[0.9, 0.5, 0.1]], [[8.0, 7.0, 2.0]]
    there = margin_mse(one_dimension(loss_inputs, scores, teacher), MarginMseParams())
    raised = margin_mse(one_dimension(loss_inputs, scores, [[t + 100 for t in teacher[0]]]), MarginMseParams())
    assert torch.allclose(there, raised)
    tripled = margin_mse(one_dimension(loss_inputs, scores, [[t * 3 for t in teacher[0]]]), MarginMseParams())
    assert not torch.allclose(there, tripled)


def test_what_the_teacher_did_not_score_makes_no_pair_and_no_gradient(loss_inputs):
    """A NaN that is cut out of the loss alone comes back in the gradient, as 0 times NaN."""
    scores = [[0.9, 0.5, 0.1], [0.2, 0.8, 0.4], [0.3, 0.3, 0.5]]
    teacher = [[8.0, NAN, 7.0], [5.0, NAN, 3.0], [NAN, NAN, 4.0]]
    inputs = one_dimension(loss_inputs, scores, teacher)
    inputs.candidates_CD.requires_grad_()
    inputs.queries_BD.requires_grad_()
    losses = margin_mse(inputs, MarginMseParams(scale=0.1))
    assert losses.tolist() == pytest.approx([(0.8 - 0.1) ** 2, 0.0, 0.0])
    losses.sum().backward()
    assert inputs.candidates_CD.grad.isfinite().all()
    assert inputs.candidates_CD.grad[1].tolist() == [0.0] * 3
    assert inputs.queries_BD.grad[1].tolist() == [0.0] * 3


def test_masked_negatives_make_no_pair_though_the_teacher_scored_them(loss_inputs):
    scores, teacher = [[0.9, 0.5, 0.1]], [[8.0, 7.0, 2.0]]
    masked = torch.tensor([[False, True, False]])
    losses = margin_mse(one_dimension(loss_inputs, scores, teacher, masked=masked), MarginMseParams(scale=0.1))
    assert losses.tolist() == pytest.approx([(0.8 - 0.6) ** 2])


def test_d11_a_query_whose_margins_are_all_equal_has_a_loss(loss_inputs):
    """Defect D11: matchmaker divides a query's margins into bins, whose width is 0 here."""
    inputs = one_dimension(loss_inputs, [[0.9, 0.5, 0.5]], [[3.0, 1.0, 1.0]])
    assert margin_mse(inputs, MarginMseParams(scale=0.1)).tolist() == pytest.approx([(0.4 - 0.2) ** 2])
    none = one_dimension(loss_inputs, [[0.9, 0.5, 0.5]], [[3.0, 3.0, 3.0]])
    assert margin_mse(none, MarginMseParams()).tolist() == pytest.approx([0.4**2])


def test_without_a_teacher_it_says_so(loss_inputs):
    with pytest.raises(ConfigError, match=r"train\.teacher"):
        margin_mse(loss_inputs(torch.eye(2), torch.eye(2)), MarginMseParams())
