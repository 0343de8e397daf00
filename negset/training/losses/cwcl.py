"""InfoNCE with soft targets: the more a candidate resembles the positive, the more it is one too.

CWCL (Srinivasa et al. 2023, arXiv 2309.14580); its code could not be had, the map of similarities is that of a paper
that uses it. `power` and `floor` are ours.
"""

from typing import Annotated, Final, Literal

import torch
from pydantic import Field

from negset.training.objective import LossInputs, LossParams, cosines, guide_vectors, loss

NARROWEST: Final = 1e-3
"""What is above a floor is stretched by at most one over this, or rounding would be."""


class CwclParams(LossParams):
    """How similarities become targets: (1 + cosine) / 2 of a random pair is about a half, which says little."""

    power: float = Field(1.0, gt=0)
    """Weights are raised to this power."""
    floor: Annotated[float, Field(ge=0, lt=1)] | Literal["median"] = 0.0
    """Weights up to this become 0, the rest are stretched from 0 to 1; `median` takes the median of a query's
    negatives that count."""


@loss("cwcl", params=CwclParams, needs=["guide"])
def cwcl(inputs: LossInputs, params: CwclParams) -> torch.Tensor:
    """Give -sum of w log(share) / sum of w over the candidates that count, (B,).

    w is 1 for the positive and for others what the guide says of their likeness with the positive, by `power` and
    `floor`. Where only the positive has weight it is InfoNCE.
    """
    _, guide_CG = guide_vectors(inputs)
    masked_BC = inputs.masked_BC
    weight_BC = _targets(cosines(guide_CG[inputs.target_B], guide_CG), inputs.negative_BC, params)
    weight_BC = weight_BC.masked_fill(masked_BC, 0.0).scatter(1, inputs.target_B[:, None], 1.0)
    logits_BC = (inputs.scores_BC() / inputs.temperature).masked_fill(masked_BC, float("-inf"))
    log_shares_BC = logits_BC.log_softmax(1).masked_fill(masked_BC, 0.0)
    return -(weight_BC * log_shares_BC).sum(1) / weight_BC.sum(1)


def _targets(likeness_BC: torch.Tensor, negative_BC: torch.Tensor, params: CwclParams) -> torch.Tensor:
    weight_BC = ((1 + likeness_BC) / 2).clamp(0, 1)
    if params.floor == "median":
        counted_BC = weight_BC.masked_fill(~negative_BC, float("nan"))
        floor_B1 = counted_BC.nanmedian(1, keepdim=True).values.nan_to_num(nan=0.0)
    else:
        floor_B1 = weight_BC.new_full((len(weight_BC), 1), params.floor)
    above_BC = ((weight_BC - floor_B1) / (1 - floor_B1).clamp(min=NARROWEST)).clamp(min=0)
    return above_BC**params.power
