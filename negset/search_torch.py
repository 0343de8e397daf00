"""Fetch candidates by torch, on a GPU where there is one."""

import numpy as np
import torch
from numpy.typing import NDArray

_TILE_ENTRIES = 1 << 26  # scores of one tile: 256 MB of float32


def fetch(
    queries_QD: NDArray[np.float32], documents_ND: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give scores and rows of the `count` best documents of each query, both (Q, count)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # TF32 has 10 bits: its error would pass the bound of the caller
    try:
        with torch.inference_mode():
            return _fetch(torch.tensor(queries_QD, device=device), documents_ND, count)
    finally:
        torch.set_float32_matmul_precision(precision)


def _fetch(
    queries: torch.Tensor, documents_ND: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    tile = max(_TILE_ENTRIES // max(len(queries), 1), count)
    scores = torch.empty((len(queries), 0), device=queries.device)
    rows = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
    for start in range(0, len(documents_ND), tile):
        # A copy: a memory map is read-only, which torch warns of.
        part = torch.tensor(documents_ND[start : start + tile], device=queries.device)
        best = (queries @ part.T).topk(min(count, len(part)), dim=1)
        scores = torch.cat([scores, best.values], dim=1)
        rows = torch.cat([rows, best.indices + start], dim=1)
        kept = scores.topk(min(count, scores.shape[1]), dim=1)
        scores, rows = kept.values, rows.gather(1, kept.indices)
    return scores.cpu().numpy(), rows.cpu().numpy()
