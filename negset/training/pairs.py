"""Losses of pairs of a query's positive and one of its negatives."""

import torch
from torch.nn.functional import softplus


def gaps(scores_BC: torch.Tensor, target_B: torch.Tensor) -> torch.Tensor:
    """Give by how much each query's positive scores above each candidate, (B, C)."""
    return scores_BC.gather(1, target_B[:, None]) - scores_BC


def logistic(gap_BC: torch.Tensor) -> torch.Tensor:
    """Give log(1 + exp(-gap)), which does not overflow."""
    return softplus(-gap_BC)


def mean_of_pairs(values_BC: torch.Tensor, paired_BC: torch.Tensor) -> torch.Tensor:
    """Give for each query its part of the mean over all pairs of the batch, (B,): the mean of the result is that mean.

    A query without a pair gets 0. Values beside the pairs must be finite, or the gradient of what made them is NaN.
    """
    sums_B = torch.where(paired_BC, values_BC, 0.0).sum(1)
    return sums_B * (len(values_BC) / paired_BC.sum().clamp(min=1))


def mean_of_query(values_BC: torch.Tensor, paired_BC: torch.Tensor) -> torch.Tensor:
    """Give for each query the mean over its own pairs, (B,), 0 where it has none."""
    return torch.where(paired_BC, values_BC, 0.0).sum(1) / paired_BC.sum(1).clamp(min=1)
