"""The shares that candidates have of a query's softmax."""

import torch
from torch.nn.functional import cross_entropy

from negset.training.objective import LossInputs


def log_shares(logits_BC: torch.Tensor, counted_BC: torch.Tensor) -> torch.Tensor:
    """Give the log of each counted candidate's share, (B, C), and 0, without gradient, to the others.

    A row in which nothing counts is 0 everywhere.
    """
    # What does not count is far below all that does, but finite: minus infinity times a weight of 0 is no number.
    some_B = counted_BC.any(dim=1, keepdim=True)
    kept_BC = logits_BC.masked_fill(~counted_BC & some_B, float("-inf"))
    return torch.where(counted_BC, torch.log_softmax(kept_BC, dim=1), 0.0)


def positive_losses(scores_BC: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
    """Give minus the log of each positive's share by `scores_BC` among what counts, (B,): InfoNCE of any scores."""
    logits_BC = (scores_BC / inputs.temperature).masked_fill(inputs.masked_BC, float("-inf"))
    return cross_entropy(logits_BC, inputs.target_B, reduction="none")
