"""Pairs of a positive and every document of the batch: STAR (Zhan et al. 2021, arXiv 2104.08051).

Code: github.com/jingtaozhan/DRhard, star/model.py.
"""

import torch

from negset.training.objective import LossInputs, LossParams, loss
from negset.training.pairs import gaps, logistic, mean_of_pairs


class StarParams(LossParams):
    """STAR has no option but the run's temperature."""


@loss("star", params=StarParams)
def star(inputs: LossInputs, params: StarParams) -> torch.Tensor:
    """Give log(1 + exp((s- - s+) / T)), summed over each query's negatives, by its part of the mean over all pairs.

    The pairs of a query are its own hard negatives, those of the other queries, and their positives, all that is not
    masked; a document that several queries bring is one pair, where the paper's code counts it each time. Every pair
    of the batch weighs the same, so a query with few of them has a small loss: the mean of what is given, (B,), is the
    sum of all pairs over their number.
    """
    gap_BC = gaps(inputs.scores_BC(), inputs.target_B) / inputs.temperature
    return mean_of_pairs(logistic(gap_BC), inputs.negative_BC)
