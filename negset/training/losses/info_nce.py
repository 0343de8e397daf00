"""A softmax over the candidates that count: InfoNCE (van den Oord et al. 2018, arXiv 1807.03748).

`symmetric` is the loss of CLIP (Radford et al. 2021, arXiv 2103.00020); with `label_smoothing` .1 and
`learn_temperature` it is Sample4Geo's (Deuser et al. 2023; github.com/Skyy93/Sample4Geo).
"""

import math
from functools import partial
from typing import Final

import torch
from pydantic import Field

from negset.errors import ContractError
from negset.training.objective import LossInputs, LossParams, MemoryInputs, loss
from negset.training.softmax import softmax_losses

LOWEST: Final = 0.01
"""A learned temperature stays above this (CLIP's limit), or above the run's own where that is lower."""


class InfoNceParams(LossParams):
    """Options of InfoNCE; the temperature is the run's."""

    symmetric: bool = False
    """Whether each positive must find its query among the batch's as well; the loss is the mean of both directions."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over the candidates that count, the positive among them."""
    learn_temperature: bool = False
    """Whether the temperature is trained along, from the run's."""
    block: int | None = Field(None, ge=1)
    """Logits are computed in blocks of so many queries and candidates, so that B x C of them never exist."""


class Temperature(torch.nn.Module):
    """A learned factor of the run's temperature, kept as its logarithm."""

    def __init__(self) -> None:
        super().__init__()
        self.log_factor = torch.nn.Parameter(torch.zeros(()))

    def forward(self, start: float) -> torch.Tensor:
        """Give the temperature that began at `start`, with gradients."""
        with torch.no_grad():
            self.log_factor.clamp_(min=min(0.0, math.log(LOWEST / start)))
        return start * self.log_factor.exp()


def open_temperature(inputs: MemoryInputs, params: InfoNceParams) -> torch.nn.Module | None:
    """Give the temperature to train, if it is to be trained."""
    return Temperature() if params.learn_temperature else None


@loss("info_nce", params=InfoNceParams, open_parameters=open_temperature)
def info_nce(inputs: LossInputs, params: InfoNceParams) -> torch.Tensor:
    """Give for each query minus the log of its positive's share, (B,). A query with only its positive has loss 0.

    In the other direction a query is masked where the positive of the row is known to be relevant to it; hard
    negatives have no part there.
    """
    temperature = _learned(inputs) if params.learn_temperature else inputs.temperature
    queries_BD, candidates_CD = inputs.queries_BD, inputs.candidates_CD
    give = partial(softmax_losses, temperature=temperature, block=params.block, smoothing=params.label_smoothing)
    losses_B = give(queries_BD, candidates_CD, inputs.target_B, inputs.cells)
    if not params.symmetric:
        return losses_B
    positives_BD, own_B = candidates_CD[inputs.target_B], torch.arange(len(queries_BD), device=queries_BD.device)
    back = give(positives_BD, queries_BD, own_B, inputs.cells.reversed(inputs.target_B))
    return (losses_B + back) / 2


def _learned(inputs: LossInputs) -> torch.Tensor:
    if not isinstance(inputs.memory, Temperature):
        message = f"info_nce learns its temperature, but was given {type(inputs.memory).__name__} for its parameters"
        raise ContractError(message)
    return inputs.memory.forward(inputs.temperature)
