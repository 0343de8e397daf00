"""Pairs of a positive and an own hard negative, weighed by the set: CET (Cai et al. 2022).

Code: github.com/caiyinqiong/Coupled_Estimation_Technique. There a second model, of which documents annotators saw,
is trained along and gives the weights. From the vectors of a batch such a model cannot be told apart from relevance:
it needs what says how a document was found (ranks and scores of the pool), and that is in the set, not in a batch. So
the weights come from the set (the weigher `inverse_selection`).
"""

import torch

from negset.training.objective import LossInputs, LossParams, loss
from negset.training.pairs import gaps, logistic, mean_of_pairs


class CetParams(LossParams):
    """CET has no option but the run's temperature."""


@loss("cet", params=CetParams)
def cet(inputs: LossInputs, params: CetParams) -> torch.Tensor:
    """Give weight x log(1 + exp((s- - s+) / T)) by each query's part of the mean over all pairs, (B,).

    Not InfoNCE with weights within its sum: there, a negative's weight moves the shares of the others. Only a query's
    own hard negatives have weights and make pairs; what else is in the batch does not count.
    """
    gap_BC = gaps(inputs.scores_BC(), inputs.target_B) / inputs.temperature
    return mean_of_pairs(logistic(gap_BC) * inputs.weight_BC, inputs.negative_BC & inputs.own_BC)
