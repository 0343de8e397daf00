"""A softmax over the candidates that count: InfoNCE (van den Oord et al. 2018, arXiv 1807.03748)."""

import torch
from torch.nn.functional import cross_entropy

from negset.training.objective import LossInputs, LossParams, loss


class InfoNceParams(LossParams):
    """InfoNCE has no option but the run's temperature."""


@loss("info_nce", params=InfoNceParams)
def info_nce(inputs: LossInputs, params: InfoNceParams) -> torch.Tensor:
    """Give for each query minus the log of its positive's share, (B,).

    A masked candidate gets minus infinity, never a factor: multiplied by zero it would keep the weight
    exp(0), and far from the positive that is most of the sum. A query with nothing but its positive has loss 0.
    """
    logits_BC = inputs.scores_BC() / inputs.temperature
    return cross_entropy(logits_BC.masked_fill(inputs.masked_BC, float("-inf")), inputs.target_B, reduction="none")
