"""The retriever against the ranker, and taught by it: AR2 (Zhang et al. 2022, arXiv 2110.03611).

The terms are those of the authors' code (microsoft/AR2, co_training_wiki_train.py), except that both are means over
queries; there the adversarial one is a sum over the batch and the other a mean, so that their balance depends on the
size of the batch.
"""

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy, logsigmoid

from negset.training.objective import LossInputs, LossParams, loss, teacher_scores
from negset.training.shares import log_shares


class Ar2Params(LossParams):
    """How the two terms of the retriever are mixed."""

    adversarial: float = Field(0.5, ge=0, le=1)
    """Share of the adversarial term; the rest is distillation."""
    teacher_temperature: float = Field(1.0, gt=0)
    """By what the teacher's scores are divided for distillation."""


@loss("ar2", params=Ar2Params, needs=["teacher"])
def ar2(inputs: LossInputs, params: Ar2Params) -> torch.Tensor:
    """Give each query's loss of the retriever, (B,), among the candidates with a score of the teacher (the ranker).

    With p the retriever's shares and g the ranker's scores, of the positive g0: the adversarial term is the sum over
    candidates of log sigmoid(g0 - g) log p, which moves p to what the ranker takes for the positive; distillation is
    the cross entropy of p with softmax(g / T). A query whose positive or whose every negative lacks a score has
    loss 0.
    """
    given_BC = teacher_scores(inputs).detach()
    target_B1 = inputs.target_B[:, None]
    scored_BC = ~inputs.masked_BC & given_BC.isfinite()
    taught_B1 = scored_BC.gather(1, target_B1) & (scored_BC.sum(dim=1, keepdim=True) > 1)
    counted_BC = (scored_BC & taught_B1).scatter(1, target_B1, value=True)
    teacher_BC = given_BC.masked_fill(~(scored_BC & taught_B1), 0.0)
    log_p_BC = log_shares(inputs.scores_BC() / inputs.temperature, counted_BC)
    reward_BC = logsigmoid(teacher_BC.gather(1, target_B1) - teacher_BC)
    wanted_BC = log_shares(teacher_BC / params.teacher_temperature, counted_BC).exp()
    adversarial_B = (reward_BC * log_p_BC).sum(dim=1)
    distilled_B = -(wanted_BC * log_p_BC).sum(dim=1)
    return params.adversarial * adversarial_B + (1 - params.adversarial) * distilled_B


def ranker_losses(logits_BC: torch.Tensor, target_B: torch.Tensor, masked_BC: torch.Tensor) -> torch.Tensor:
    """Give the ranker's loss in its phase, (B,): minus the log of its positive's share among what is not masked."""
    return cross_entropy(logits_BC.masked_fill(masked_BC, float("-inf")), target_B, reduction="none")
