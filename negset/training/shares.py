"""Which candidates count for a query, and what share of its softmax each of them has."""

import torch


def negatives(target_B: torch.Tensor, masked_BC: torch.Tensor) -> torch.Tensor:
    """Tell which candidates a query is compared with as negatives: all that count but its own positive, (B, C)."""
    return (~masked_BC).scatter(1, target_B[:, None], value=False)


def log_shares(logits_BC: torch.Tensor, counted_BC: torch.Tensor) -> torch.Tensor:
    """Give the log of each counted candidate's share, (B, C), and 0, without gradient, to the others.

    A row in which nothing counts is 0 everywhere.
    """
    # What does not count is far below all that does, but finite: minus infinity times a weight of 0 is no number.
    some_B = counted_BC.any(dim=1, keepdim=True)
    kept_BC = logits_BC.masked_fill(~counted_BC & some_B, float("-inf"))
    return torch.where(counted_BC, torch.log_softmax(kept_BC, dim=1), 0.0)
