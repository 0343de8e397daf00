"""Pairs of a positive and a found negative, weighed by what their order is worth in reciprocal rank: ADORE.

Zhan et al. 2021 (arXiv 2104.08051, code adore/train.py), after LambdaRank. Meant for negatives that the model itself
has just found among all documents; what a static set calls hard it may long have solved, and then says nothing.
"""

import torch
from pydantic import Field
from torch.nn.functional import softplus

from negset.training.objective import LossInputs, LossParams, loss


class AdoreParams(LossParams):
    """How far down the ranking still counts."""

    cut: int = Field(200, ge=1)
    """Rank beyond which a document is worth nothing: its reciprocal rank counts as 0."""


@loss("adore", params=AdoreParams)
def adore(inputs: LossInputs, params: AdoreParams) -> torch.Tensor:
    """Give for each query the weighed mean loss of its pairs, halved, (B,).

    A query's ranking is that of its positive and its own negatives that count, by score, ties to the smaller document
    row. A pair costs log(1 + exp(s- - s+)) times |1 / r+ - 1 / r-|, scores being cosines over the temperature. A query
    without negatives has loss 0. The weights carry no gradient.
    """
    counted_BC = inputs.own_BC & ~inputs.masked_BC
    counted_BC = counted_BC.scatter(1, inputs.target_B[:, None], value=True)
    column_BK, there_BK = pad_columns(counted_BC)
    score_BK = (inputs.scores_BC() / inputs.temperature).gather(1, column_BK)
    value_BK = reciprocal_ranks(score_BK.detach(), inputs.candidate_row_C[column_BK], there_BK, params.cut)
    target_BK = (column_BK == inputs.target_B[:, None]) & there_BK
    positive_B1 = (score_BK * target_BK).sum(dim=1, keepdim=True)
    worth_B1 = (value_BK * target_BK).sum(dim=1, keepdim=True)
    weight_BK = (worth_B1 - value_BK).abs() * (there_BK & ~target_BK)
    pairs_B = (there_BK & ~target_BK).sum(dim=1).clamp(min=1)
    return (softplus(score_BK - positive_B1) * weight_BK).sum(dim=1) / (2 * pairs_B)


def pad_columns(counted_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the columns that are true in each row, ascending, padded to the longest, and which of them are there."""
    sizes_B = counted_BC.sum(dim=1)
    places_K = torch.arange(int(sizes_B.max()) if len(sizes_B) else 0, device=counted_BC.device)
    there_BK = places_K[None, :] < sizes_B[:, None]
    column_BK = torch.zeros(there_BK.shape, dtype=torch.int64, device=counted_BC.device)
    column_BK[there_BK] = counted_BC.nonzero()[:, 1]
    return column_BK, there_BK


def reciprocal_ranks(score_BK: torch.Tensor, row_BK: torch.Tensor, there_BK: torch.Tensor, cut: int) -> torch.Tensor:
    """Give 1 / rank of each place among those that are there, 0 beyond `cut` and where nothing is, (B, K).

    Ties in score go to the smaller of `row_BK`.
    """
    by_row_BK = torch.argsort(row_BK, dim=1, stable=True)
    lowered_BK = score_BK.masked_fill(~there_BK, float("-inf")).gather(1, by_row_BK)
    order_BK = by_row_BK.gather(1, torch.argsort(lowered_BK, dim=1, descending=True, stable=True))
    ranks_K = torch.arange(1, score_BK.shape[1] + 1, device=score_BK.device, dtype=score_BK.dtype)
    value_K = torch.where(ranks_K <= cut, 1.0 / ranks_K, torch.zeros_like(ranks_K))
    return torch.zeros_like(score_BK).scatter(1, order_BK, value_K.expand_as(score_BK)) * there_BK
