"""Positives pulled apart, negatives mixed (Zhu et al. 2021, arXiv 2108.02982).

As in the authors' code (memory/mem_moco.py) positives are extrapolated, which makes them harder, and negatives are
interpolated with each other, which makes them more diverse. Which query the negatives are compared with, the vector
as it is, is our choice.
"""

import torch
from pydantic import Field

from negset.training.directions import unit
from negset.training.noise import betas, lots, uniforms
from negset.training.objective import LossInputs, LossParams, loss, widened
from negset.training.shares import positive_losses


class FeatureTransformParams(LossParams):
    """What is transformed, and how."""

    positive_beta: float = Field(2.0, ge=0)
    """A positive is extrapolated by 1 + Beta(b, b); 0 leaves positives as they are."""
    negative_beta: float = Field(1.6, ge=0)
    """Negatives are mixed by Beta(b, b); 0 leaves negatives as they are."""
    per_dimension: bool = True
    """Whether each dimension of a negative is mixed by a number of its own."""
    normalise: bool = True
    """Whether what was transformed gets length one again."""


@loss("feature_transform", params=FeatureTransformParams)
def feature_transform(inputs: LossInputs, params: FeatureTransformParams) -> torch.Tensor:
    """Give each query's InfoNCE over transformed vectors, (B,).

    A negative is mixed with the next one in an order drawn by the keys. For a query that must not see one of the
    two as a negative, the other stays as it is, so that nothing masked gets in by way of a mixture.
    """
    queries_BD, candidates_CD = widened(inputs.queries_BD), widened(inputs.candidates_CD)
    scores_BC = inputs.scores_BC()
    if params.negative_beta and len(candidates_CD) > 1:
        partner_C = _partners(inputs)
        counted_BC = inputs.negative_BC
        mixed_CD = _mixed(candidates_CD, partner_C, inputs, params)
        both_BC = counted_BC & counted_BC[:, partner_C]
        scores_BC = torch.where(both_BC, queries_BD @ mixed_CD.T, scores_BC)
    if params.positive_beta:
        positive_B = _extrapolated(queries_BD, candidates_CD[inputs.target_B], inputs, params)
        scores_BC = scores_BC.scatter(1, inputs.target_B[:, None], positive_B[:, None])
    return positive_losses(scores_BC, inputs)


def extrapolate(left_BD: torch.Tensor, right_BD: torch.Tensor, by_B1: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Move each of two vectors away from the other: for `by_B1` of 1 both stay, above it they part."""
    return by_B1 * left_BD + (1 - by_B1) * right_BD, by_B1 * right_BD + (1 - by_B1) * left_BD


def _extrapolated(
    queries_BD: torch.Tensor, positives_BD: torch.Tensor, inputs: LossInputs, params: FeatureTransformParams
) -> torch.Tensor:
    """Give the score of each query with its positive after both were moved apart, (B,)."""
    uniform_B1 = uniforms(inputs.query_key_B, inputs.moment, "feature_transform:positive", 1)
    by_B1 = 1 + betas(uniform_B1, params.positive_beta, params.positive_beta).to(queries_BD.dtype)
    moved = extrapolate(queries_BD, positives_BD, by_B1)
    left_BD, right_BD = (unit(one) for one in moved) if params.normalise else moved
    return (left_BD * right_BD).sum(dim=1)


def _partners(inputs: LossInputs) -> torch.Tensor:
    """Give each candidate the next one in an order drawn by the keys; none is its own partner."""
    order_C = torch.argsort(lots(inputs.candidate_key_C, inputs.moment, "feature_transform:partner"), stable=True)
    return torch.empty_like(order_C).scatter(0, order_C, order_C.roll(-1))


def _mixed(
    candidates_CD: torch.Tensor, partner_C: torch.Tensor, inputs: LossInputs, params: FeatureTransformParams
) -> torch.Tensor:
    width = candidates_CD.shape[1] if params.per_dimension else 1
    uniform_CW = uniforms(inputs.candidate_key_C, inputs.moment, "feature_transform:negative", width)
    by_CW = betas(uniform_CW, params.negative_beta, params.negative_beta).to(candidates_CD.dtype)
    mixed_CD = torch.lerp(candidates_CD[partner_C], candidates_CD, by_CW.expand_as(candidates_CD))
    return unit(mixed_CD) if params.normalise else mixed_CD
