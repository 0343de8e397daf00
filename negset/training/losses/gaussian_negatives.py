"""Invented negatives around the middle of the documents, after Hyp-OC (Narayan and Patel 2024, arXiv 2404.14406).

Of the authors' code we keep that a negative class is drawn about a running mean. Their running mean forgets all but
two batches, and a Gaussian of fixed width lies anywhere in many dimensions: here the mean runs on, and the radius comes
from the documents. Hyperbolic space and their confusion loss are left out.
"""

from typing import Final

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from negset.errors import NegsetError
from negset.training.directions import unit
from negset.training.noise import lots, normals, uniforms
from negset.training.objective import LossInputs, LossParams, MemoryInputs, loss, widened

_LEAST: Final = 20
"""With fewer candidates a quantile of their distances says nothing."""
_FLAT: Final = 1e-6


class GaussianNegativesParams(LossParams):
    """How many negatives are invented, and about which mean."""

    count: int = Field(64, ge=1)
    """Invented negatives of a batch, at most as many as it has candidates."""
    keep: float = Field(0.8, ge=0, lt=1)
    """Share that the running mean keeps of what it was at each step."""


class RunningMean(torch.nn.Module):
    """The mean of the candidates of all steps, later ones weighing more. It has no parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean_D: torch.Tensor
        self.step: torch.Tensor
        self.register_buffer("mean_D", torch.zeros(width))
        self.register_buffer("step", torch.tensor(-1))

    @torch.no_grad()
    def update(self, vectors_CD: torch.Tensor, keep: float, step: int) -> torch.Tensor:
        """Take in the mean of `vectors_CD`, once at each `step`; give the mean as it is then, (D,)."""
        mean_D = vectors_CD.mean(dim=0).to(self.mean_D)
        later_D = torch.where(self.step < 0, mean_D, keep * self.mean_D + (1 - keep) * mean_D)
        self.mean_D.copy_(torch.where(self.step == step, self.mean_D, later_D))
        self.step.fill_(step)
        return self.mean_D.clone()


def open_mean(memory: MemoryInputs, _params: GaussianNegativesParams) -> RunningMean:
    """Give a mean that starts as that of the first batch."""
    return RunningMean(memory.width)


@loss("gaussian_negatives", params=GaussianNegativesParams, needs=["memory"], open_parameters=open_mean)
def gaussian_negatives(inputs: LossInputs, params: GaussianNegativesParams) -> torch.Tensor:
    """Give each query's InfoNCE with invented negatives beside its own, (B,).

    They are constants, the same for every query of a batch. One that lies closer to a candidate than the nearest
    candidates lie to each other (5th percentile) is not used. All candidates of the batch move the mean, whoever
    they count for, so that a batch that is computed in parts has one mean.
    """
    if not isinstance(inputs.memory, RunningMean):
        message = f"gaussian_negatives needs the running mean of open_mean, not {type(inputs.memory).__name__}"
        raise NegsetError(message)
    queries_BD = widened(inputs.queries_BD)
    made_KD = invent(inputs, inputs.memory, params).to(queries_BD.dtype)
    logits_BC = inputs.scores_BC().masked_fill(inputs.masked_BC, float("-inf"))
    logits_BW = torch.cat([logits_BC, queries_BD @ made_KD.T], dim=1) / inputs.temperature
    return cross_entropy(logits_BW, inputs.target_B, reduction="none")


@torch.no_grad()
def invent(inputs: LossInputs, memory: RunningMean, params: GaussianNegativesParams) -> torch.Tensor:
    """Give the invented negatives of a batch that may be used, of length one, (K, D); none for too few candidates."""
    vectors_CD = widened(inputs.candidates_CD)
    mean_D = memory.update(vectors_CD, params.keep, inputs.moment.step).to(vectors_CD.dtype)
    # By lots and not by columns: the order of the batch must not matter.
    lot_C = lots(inputs.candidate_key_C, inputs.moment, "gaussian_negatives:chosen")
    chosen_K = torch.argsort(lot_C, stable=True)[: params.count]
    distance_C = torch.linalg.vector_norm(vectors_CD - mean_D, dim=1)
    if len(vectors_CD) < _LEAST or float(distance_C.max()) < _FLAT:
        return vectors_CD[:0]
    made_KD = unit(mean_D + shell(distance_C, chosen_K, inputs))
    among_KC = torch.cdist(vectors_CD[chosen_K], vectors_CD).scatter(1, chosen_K[:, None], float("inf"))
    closest = torch.quantile(among_KC.min(dim=1).values, 0.05)
    return made_KD[torch.cdist(made_KD, vectors_CD).min(dim=1).values >= closest]


def shell(distance_C: torch.Tensor, chosen_K: torch.Tensor, inputs: LossInputs) -> torch.Tensor:
    """Draw a point for each chosen candidate, (K, D): in any direction, as far as one to two 90th percentiles."""
    keys_K = inputs.candidate_key_C[chosen_K]
    radius_K1 = torch.quantile(distance_C, 0.9) * (1 + uniforms(keys_K, inputs.moment, "gaussian_negatives:radius", 1))
    direction_KD = normals(keys_K, inputs.moment, "gaussian_negatives:direction", inputs.candidates_CD.shape[1])
    return (radius_K1 * unit(direction_KD)).to(distance_C.dtype)
