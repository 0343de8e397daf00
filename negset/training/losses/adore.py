"""Pairs weighed by what swapping them would change of the reciprocal rank: ADORE (Zhan et al. 2021, arXiv 2104.08051).

Code: github.com/jingtaozhan/DRhard, adore/train.py, after LambdaRank. There the documents are frozen and searched at
each step, as `negset rounds --strategy adore` does; by itself the loss takes the candidates of the batch, and both
sides are trained.
"""

import torch
from pydantic import Field

from negset.training.objective import LossInputs, LossParams, cosines, loss
from negset.training.pairs import gaps, logistic, mean_of_pairs


class AdoreParams(LossParams):
    """Which ranks matter."""

    cut: int | None = Field(None, ge=1)
    """A rank beyond this is worth nothing, as with MRR@cut; without it every rank r is worth 1/r."""


@loss("adore", params=AdoreParams)
def adore(inputs: LossInputs, params: AdoreParams) -> torch.Tensor:
    """Give log(1 + exp((s- - s+) / T)) x |1/r+ - 1/r-| / 2 by each query's part of the mean over all pairs, (B,).

    Ranks count from 1 among the positive and the negatives that count, by the scores as they are now, ties by the
    documents' order in the run; they have no gradient.
    """
    scores_BC = cosines(inputs.queries_BD, inputs.candidates_CD)
    worth_BC = rank_worth(scores_BC.detach(), inputs.masked_BC, inputs.candidate_row_C, params.cut)
    losses_BC = logistic(gaps(scores_BC, inputs.target_B) / inputs.temperature)
    return mean_of_pairs(losses_BC * gaps(worth_BC, inputs.target_B).abs() / 2, inputs.negative_BC)


def rank_worth(
    scores_BC: torch.Tensor, masked_BC: torch.Tensor, candidate_row_C: torch.Tensor, cut: int | None
) -> torch.Tensor:
    """Give one over each candidate's rank among those that count, 0 beyond `cut`; what is masked comes last."""
    by_row_C = candidate_row_C.argsort(stable=True)
    ordered_BC = scores_BC.masked_fill(masked_BC, float("-inf"))[:, by_row_C]
    order_BC = by_row_C[ordered_BC.argsort(dim=1, descending=True, stable=True)]
    ranks_C = torch.arange(1, scores_BC.shape[1] + 1, device=scores_BC.device, dtype=scores_BC.dtype)
    worth_C = 1 / ranks_C if cut is None else (1 / ranks_C).masked_fill(ranks_C > cut, 0.0)
    return torch.empty_like(scores_BC).scatter_(1, order_BC, worth_C.expand_as(scores_BC))
