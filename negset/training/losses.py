"""The loss: a softmax over the candidates that count."""

import torch
from torch.nn.functional import cross_entropy


def info_nce(
    queries_BD: torch.Tensor,
    candidates_CD: torch.Tensor,
    target_B: torch.Tensor,
    masked_BC: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Give for each query minus the log of its positive's share: InfoNCE (van den Oord et al. 2018), (B,).

    A masked candidate gets minus infinity, never a factor: multiplied by zero it would keep the weight
    exp(0), and far from the positive that is most of the sum. A query with nothing but its positive has loss 0.
    """
    logits_BC = queries_BD.float() @ candidates_CD.float().T / temperature
    return cross_entropy(logits_BC.masked_fill(masked_BC, float("-inf")), target_B, reduction="none")
