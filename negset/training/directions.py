"""Vectors of length one, in a precision that a loss can be computed in."""

import torch


def full(vectors: torch.Tensor) -> torch.Tensor:
    """Give `vectors` in float32 where they are coarser, as they are otherwise."""
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))


def unit(vectors_ND: torch.Tensor) -> torch.Tensor:
    """Give `vectors_ND` with length one; a vector of zeros stays one, and its gradient finite."""
    length_N = torch.linalg.vector_norm(vectors_ND, dim=-1, keepdim=True)
    return vectors_ND / torch.where(length_N > 0, length_N, 1.0)
