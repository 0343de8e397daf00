"""Synthetic negatives that look right, distant positives that are right: CLAPS (Lee et al. 2021, arXiv 2012.07280).

The idea is of the authors' code (seanie12/CLAPS, src/nmt/models.py), brought from a decoder's states to vectors of
documents. `targeted` is the variant in which a negative is moved until it is nearly accepted, rather than a positive
until it is nearly refused; its recipe is ours. Synthetic vectors are constants: they teach queries and leave documents
alone.
"""

from typing import Literal

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from negset.training.directions import unit
from negset.training.noise import normals
from negset.training.objective import LossInputs, LossParams, loss, widened
from negset.training.shares import log_shares


class ClapsParams(LossParams):
    """How far the synthetic vectors lie, and what they weigh."""

    method: Literal["untargeted", "targeted"] = "untargeted"
    """Move the positive to where the loss rises, or the query's hardest negative to where it is accepted."""
    epsilon: float = Field(0.3, gt=0, le=0.43)
    """How far a synthetic negative is moved; farther, it would be an easy one (cosine with where it was below .9)."""
    perpendicular: bool = False
    """Whether the untargeted step leaves out the direction of the positive itself (Perp-Neg)."""
    distance: float = Field(0.3, ge=0)
    """How far a distant positive is moved, across the direction of its query; 0 leaves it where it is."""
    weight: float = Field(0.5, gt=0)
    """What each of the two further terms weighs beside InfoNCE."""


@loss("claps", params=ClapsParams)
def claps(inputs: LossInputs, params: ClapsParams) -> torch.Tensor:
    """Give for each query InfoNCE, plus InfoNCE with a synthetic negative more, plus it with a distant positive, (B,).

    A query without a synthetic negative (the gradient is zero, or it has no negative that could be moved) has plain
    InfoNCE in place of the second term.
    """
    scores_BC = inputs.scores_BC().masked_fill(inputs.masked_BC, float("-inf"))
    queries_BD = widened(inputs.queries_BD)
    with torch.no_grad():
        synthetic_BD, there_B = synthetic_negatives(inputs, params)
        distant_BD = distant_positives(inputs, params)
    extra_B = (queries_BD * synthetic_BD).sum(dim=1).masked_fill(~there_B, float("-inf"))
    distant_B = (queries_BD * distant_BD).sum(dim=1)
    moved_BC = scores_BC.scatter(1, inputs.target_B[:, None], distant_B[:, None])

    def info_nce(scores_BK: torch.Tensor) -> torch.Tensor:
        return cross_entropy(scores_BK / inputs.temperature, inputs.target_B, reduction="none")

    further_B = info_nce(torch.cat([scores_BC, extra_B[:, None]], dim=1)) + info_nce(moved_BC)
    return info_nce(scores_BC) + params.weight * further_B


def synthetic_negatives(inputs: LossInputs, params: ClapsParams) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each query a synthetic negative, (B, D), and tell which have one, (B,)."""
    if params.method == "targeted":
        return _accepted(inputs, params.epsilon)
    gradient_BD = positive_gradients(inputs)
    positives_BD = widened(inputs.candidates_CD)[inputs.target_B]
    if params.perpendicular:
        gradient_BD = gradient_BD - (gradient_BD * positives_BD).sum(dim=1, keepdim=True) * positives_BD
    there_B = torch.linalg.vector_norm(gradient_BD, dim=1) > 0
    return unit(positives_BD + params.epsilon * unit(gradient_BD)), there_B


def positive_gradients(inputs: LossInputs) -> torch.Tensor:
    """Give the gradient of each query's InfoNCE at the vector of its positive, (B, D).

    Of its own loss alone: with the others', for which the positive is a negative, it may point to the query.
    """
    counted_BC = inputs.negative_BC.scatter(1, inputs.target_B[:, None], value=True)
    share_BC = log_shares(inputs.scores_BC() / inputs.temperature, counted_BC).exp()
    missing_B1 = 1 - share_BC.gather(1, inputs.target_B[:, None])
    return -missing_B1 * widened(inputs.queries_BD) / inputs.temperature


def _accepted(inputs: LossInputs, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Move each query's hardest negative along the sphere to the query, by a chord of at most `epsilon`."""
    counted_BC = inputs.negative_BC
    scores_BC = inputs.scores_BC().masked_fill(~counted_BC, float("-inf"))
    highest_B1 = scores_BC.max(dim=1, keepdim=True).values
    # Of several that score the same, the one with the smallest key: the order of the batch must not matter.
    keys_BC = torch.where(scores_BC == highest_B1, inputs.candidate_key_C, torch.iinfo(torch.int64).max)
    queries_BD, negatives_BD = widened(inputs.queries_BD), widened(inputs.candidates_CD)[keys_BC.argmin(dim=1)]
    return toward(negatives_BD, queries_BD, epsilon), counted_BC.any(dim=1)


def toward(vectors_BD: torch.Tensor, goals_BD: torch.Tensor, chord: float) -> torch.Tensor:
    """Move unit vectors along the sphere to their goals, until they are `chord` away from where they were or there."""
    cosine_B1 = (vectors_BD * goals_BD).sum(dim=1, keepdim=True).clamp(-1, 1)
    step_B1 = torch.clamp(torch.acos(cosine_B1), max=2 * torch.asin(torch.tensor(chord / 2)).item())
    return step_B1.cos() * vectors_BD + step_B1.sin() * unit(goals_BD - cosine_B1 * vectors_BD)


def distant_positives(inputs: LossInputs, params: ClapsParams) -> torch.Tensor:
    """Give each query its positive moved by noise that leaves their cosine as it is, (B, D), of length one.

    The part of the positive across the query's direction is turned by noise across both, drawn by the query's key.
    """
    queries_BD, positives_BD = widened(inputs.queries_BD), widened(inputs.candidates_CD)[inputs.target_B]
    along_BD = (queries_BD * positives_BD).sum(dim=1, keepdim=True) * queries_BD
    across_BD = positives_BD - along_BD
    noise_BD = normals(inputs.query_key_B, inputs.moment, "claps:distant", queries_BD.shape[1]).to(queries_BD.dtype)
    for direction_BD in (unit(queries_BD), unit(across_BD)):
        noise_BD = noise_BD - (noise_BD * direction_BD).sum(dim=1, keepdim=True) * direction_BD
    turned_BD = unit(across_BD + params.distance * unit(noise_BD))
    length_B1 = torch.linalg.vector_norm(across_BD, dim=1, keepdim=True)
    return along_BD.addcmul(length_B1, turned_BD)
