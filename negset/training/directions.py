"""Vectors of length one."""

import torch


def unit(vectors_ND: torch.Tensor) -> torch.Tensor:
    """Give `vectors_ND` with length one; a vector of zeros stays one, and its gradient finite."""
    length_N = torch.linalg.vector_norm(vectors_ND, dim=-1, keepdim=True)
    return vectors_ND / torch.where(length_N > 0, length_N, 1.0)
