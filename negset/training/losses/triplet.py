"""A hinge on the hardest negatives of a batch, as NGAME has it (Dahiya et al. 2023, arXiv 2207.04452).

Code: github.com/Extreme-classification/ngame, TripletMarginLossOHNM.
"""

import torch
from pydantic import Field

from negset.training.objective import LossInputs, LossParams, loss
from negset.training.pairs import gaps


class TripletParams(LossParams):
    """The hinge and how many negatives meet it."""

    margin: float = Field(0.3, ge=0)
    """How far the positive must score above a negative."""
    hardest: int = Field(10, ge=1)
    """How many negatives of a query count, from the highest score down; fewer where fewer count at all."""
    softness: float = Field(0.1, gt=0)
    """Negatives weigh by a softmax of their scores over this."""


@loss("triplet", params=TripletParams)
def triplet(inputs: LossInputs, params: TripletParams) -> torch.Tensor:
    """Give the weighed mean of max(0, margin - (s+ - s-)) over each query's `hardest` negatives, (B,).

    The weights have no gradient. A query without a negative has loss 0. The temperature has no part.
    """
    scores_BC, negative_BC = inputs.scores_BC(), inputs.negative_BC
    ranked_BC = scores_BC.detach().masked_fill(~negative_BC, float("-inf"))
    chosen_BK = ranked_BC.topk(min(params.hardest, ranked_BC.shape[1]), dim=1)
    # The weight of a place that no negative fills is exp of minus infinity; where none does, they are no numbers.
    weight_BK = (chosen_BK.values / params.softness).softmax(1).nan_to_num(nan=0.0)
    hinge_BK = (params.margin - gaps(scores_BC, inputs.target_B).gather(1, chosen_BK.indices)).clamp(min=0)
    return (hinge_BK * weight_BK).sum(1)
