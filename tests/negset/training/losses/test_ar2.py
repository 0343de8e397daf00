import math

import pytest
import torch
from torch.nn.functional import kl_div, logsigmoid, softmax

from negset.errors import ConfigError
from negset.training.losses.ar2 import Ar2Params, ar2, ranker_losses

NONE = float("nan")


def batch(loss_inputs, logits, teacher, **others):
    """Give one query at which candidate j scores `logits[j]`."""
    scores = torch.as_tensor(logits, dtype=torch.float64)[:, None]
    return loss_inputs(
        torch.ones(1, 1, dtype=torch.float64), scores, teacher_BC=torch.tensor([teacher], dtype=torch.float64), **others
    )


def pushes(loss_inputs, teacher, params, logits=(0.0, 0.0, 0.0, 0.0)):
    """Give where a step against the gradient moves each logit."""
    scores = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    inputs = batch(loss_inputs, scores.detach(), teacher)
    ar2(type(inputs)(**{**vars(inputs), "candidates_CD": scores[:, None]}), params).sum().backward()
    return [-one for one in scores.grad.tolist()]


def test_the_retriever_is_moved_to_what_fools_the_ranker(loss_inputs):
    """A sign error moves it the other way."""
    moved = pushes(loss_inputs, [2.0, 2.0, -3.0, -3.0], Ar2Params(adversarial=1))
    assert moved == pytest.approx([0.343, 0.343, -0.343, -0.343], abs=1e-3)


def test_distillation_alone_moves_the_same_way_here(loss_inputs):
    moved = pushes(loss_inputs, [2.0, 2.0, -3.0, -3.0], Ar2Params(adversarial=0))
    assert moved == pytest.approx([0.247, 0.247, -0.247, -0.247], abs=1e-3)


def test_without_the_adversarial_term_the_loss_is_the_divergence_from_the_ranker(loss_inputs):
    teacher, temperature = [1.0, -0.5, 0.3], 0.7
    wanted = softmax(torch.tensor(teacher, dtype=torch.float64) / temperature, dim=0)
    entropy = -(wanted * wanted.log()).sum()
    for logits in ([0.1, 0.2, 0.3], [2.0, -1.0, 0.0]):
        loss = ar2(batch(loss_inputs, logits, teacher), Ar2Params(adversarial=0, teacher_temperature=temperature))
        shares = torch.log_softmax(torch.tensor(logits, dtype=torch.float64), dim=0)
        assert float(loss) == pytest.approx(float(kl_div(shares, wanted, reduction="sum") + entropy))


def test_the_loss_is_what_a_double_loop_says(loss_inputs):
    logits, teacher = [0.4, -0.2, 0.9], [1.5, 2.0, -1.0]
    shares = softmax(torch.tensor(logits), dim=0).tolist()
    wanted = softmax(torch.tensor(teacher) / 2, dim=0).tolist()
    adversarial = distilled = 0.0
    for place in range(3):
        reward = float(logsigmoid(torch.tensor(teacher[0] - teacher[place])))
        adversarial += reward * math.log(shares[place])
        distilled -= wanted[place] * math.log(shares[place])
    loss = ar2(batch(loss_inputs, logits, teacher), Ar2Params(adversarial=0.3, teacher_temperature=2))
    assert float(loss) == pytest.approx(0.3 * adversarial + 0.7 * distilled, abs=1e-6)


def test_both_terms_are_means_over_queries(loss_inputs):
    """Summed over the batch, as in the authors' code, the adversarial term would double with the batch."""
    query = torch.ones(2, 1, dtype=torch.float64)
    candidates = torch.tensor([[0.1], [0.1]], dtype=torch.float64)
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    one = ar2(loss_inputs(query[:1], candidates, teacher_BC=teacher[:1]), Ar2Params())
    two = ar2(loss_inputs(query, candidates, teacher_BC=teacher), Ar2Params())
    assert two.mean().item() == pytest.approx(one.mean().item())


def test_a_candidate_without_a_score_does_not_take_part(loss_inputs):
    full = ar2(batch(loss_inputs, [0.1, 0.9], [1.0, 2.0]), Ar2Params())
    more = ar2(batch(loss_inputs, [0.1, 0.9, 5.0], [1.0, 2.0, NONE]), Ar2Params())
    assert more.item() == full.item()
    assert pushes(loss_inputs, [1.0, 2.0, NONE, NONE], Ar2Params())[2:] == [0.0, 0.0]


@pytest.mark.parametrize("teacher", [[NONE, 1.0, 2.0], [1.0, NONE, NONE], [NONE, NONE, NONE]])
def test_a_query_that_the_teacher_says_nothing_about_has_no_loss(loss_inputs, teacher):
    assert ar2(batch(loss_inputs, [0.3, 0.1, -0.4], teacher), Ar2Params()).tolist() == [0.0]
    assert pushes(loss_inputs, [*teacher, NONE], Ar2Params()) == [0.0] * 4


def test_a_teacher_far_off_gives_finite_losses(loss_inputs):
    loss = ar2(batch(loss_inputs, [1e3, -1e3, 0.0], [-500.0, 500.0, 0.0]), Ar2Params())
    assert torch.isfinite(loss).all()


def test_a_set_without_a_teacher_is_refused(loss_inputs):
    with pytest.raises(ConfigError, match="a teacher"):
        ar2(loss_inputs(torch.ones(1, 1), torch.ones(1, 1)), Ar2Params())


def test_the_ranker_learns_its_positive_among_what_counts():
    logits = torch.tensor([[0.0, 1.0, 9.0]], requires_grad=True)
    loss = ranker_losses(logits, torch.tensor([0]), torch.tensor([[False, False, True]]))
    assert loss.item() == pytest.approx(math.log(1 + math.e), abs=1e-6)
    loss.sum().backward()
    assert logits.grad[0, 2] == 0
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]
