"""Match a noisy target first, the exact one later (Chen et al. 2022, composed retrieval, arXiv 2211.07394).

From the authors' code (Monoxide-Chen/uncertainty_retrieval) with three changes of ours. The noise is added in the scale
of the vector, so that without noise the target is the target. The schedule runs by steps and not by epochs, of which a
run may have one. The spread belongs to each target: one number for the batch would make a query's loss depend on who
shares its batch.
"""

import math

import torch
from pydantic import Field

from negset.training.directions import unit
from negset.training.noise import normals
from negset.training.objective import LossInputs, LossParams, Moment, cosines, loss, widened
from negset.training.shares import positive_losses


class UncertaintyParams(LossParams):
    """How strong the noise is, and how fast it loses its say."""

    decay: float = Field(1.0, ge=0)
    """The noisy term's share falls from 1 to exp(-decay) over the run; it never reaches 0."""
    noise: float = Field(1.0, ge=0)
    """Deviation of the noise, in deviations of a vector's own entries."""


@loss("uncertainty", params=UncertaintyParams)
def uncertainty(inputs: LossInputs, params: UncertaintyParams) -> torch.Tensor:
    """Give each query a mixture of InfoNCE against noisy and against exact candidates, (B,).

    The noisy term is (exp(-s) L + s) / 2, where s is the deviation of the noisy target's entries before it gets
    length one: a target that the noise spread widely counts less. A query with only its positive has loss 0.
    """
    noisy_CD = add_noise(inputs, params.noise)
    spread_B = noisy_CD.std(dim=1, correction=0)[inputs.target_B]
    noisy_B = positive_losses(cosines(inputs.queries_BD, unit(noisy_CD)), inputs)
    exact_B = positive_losses(inputs.scores_BC(), inputs)
    share = noisy_share(inputs.moment, params.decay)
    mixed_B = share * (torch.exp(-spread_B) * noisy_B + spread_B) / 2 + (1 - share) * exact_B
    return mixed_B * inputs.negative_BC.any(dim=1)


def noisy_share(moment: Moment, decay: float) -> float:
    """Give the noisy term's share at a `moment`: 1 at the start, exp(-`decay`) at the end."""
    return math.exp(-decay * moment.progress)


def add_noise(inputs: LossInputs, noise: float) -> torch.Tensor:
    """Scale and shift each entry of a candidate about its mean by draws of its key, (C, D).

    The mean and deviation are of a vector's own entries, as an instance norm has them, never of a batch's column.
    """
    vectors_CD = widened(inputs.candidates_CD)
    mean_C1 = vectors_CD.mean(dim=1, keepdim=True)
    spread_C1 = noise * vectors_CD.std(dim=1, correction=0, keepdim=True)
    drawn_CW = normals(inputs.candidate_key_C, inputs.moment, "uncertainty", 2 * vectors_CD.shape[1])
    scale_CD, shift_CD = drawn_CW.to(vectors_CD.dtype).chunk(2, dim=1)
    return (1 + spread_C1 * scale_CD) * (vectors_CD - mean_C1) + mean_C1 + spread_C1 * shift_CD
