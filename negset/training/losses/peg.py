"""InfoNCE with weights that grow with a negative's difficulty as training proceeds, as in PEG (arXiv 2311.11691).

The paper's formula could not be had; this one is ours, from its description.
"""

import math

import torch
from pydantic import Field

from negset.training.objective import LossInputs, LossParams, loss, widened
from negset.training.softmax import Tilt, log_sums, softmax_losses


class PegParams(LossParams):
    """How steeply the weights grow."""

    steepness: float = Field(5.0, ge=0)
    """Weights are exp(steepness x share of the run that is done x cosine); 0 is plain InfoNCE."""
    largest: float = Field(20.0, ge=1)
    """No negative weighs more, where the mean of a query's negatives is 1."""
    block: int | None = Field(None, ge=1)
    """Logits are computed in blocks of so many queries and candidates, so that B x C of them never exist."""


@loss("peg", params=PegParams)
def peg(inputs: LossInputs, params: PegParams) -> torch.Tensor:
    """Give -log(e^(s+/T) / (e^(s+/T) + sum of w e^(s/T) over the negatives)) for each query, (B,).

    w is exp(steepness x progress x s) over its mean on the query's negatives that count, at most `largest` after
    that; it has no gradient. What is masked has neither weight nor part in the mean. The first step has weights of 1.
    """
    slope = params.steepness * inputs.moment.progress
    return softmax_losses(
        inputs.queries_BD,
        inputs.candidates_CD,
        inputs.target_B,
        inputs.cells,
        temperature=inputs.temperature,
        block=params.block,
        tilt=_log_weights(inputs, params, slope) if slope else None,
    )


def _log_weights(inputs: LossInputs, params: PegParams, slope: float) -> Tilt:
    """Give what computes log w from logits."""
    steep_BD = slope * widened(inputs.queries_BD)
    log_sums_B = log_sums(steep_BD, inputs.candidates_CD, inputs.target_B, inputs.cells, params.block)
    log_means_B = log_sums_B - (inputs.cells.counted_B() - 1).clamp(min=1).log()
    highest = math.log(params.largest)

    def tilt(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        return (logits * (slope * inputs.temperature)).sub_(log_means_B[rows, None]).clamp_(max=highest)

    return tilt
