"""Two teachers, of the set's pairs and of the whole batch: TAS-Balanced (Hofstätter et al. 2021, arXiv 2104.06967).

Code: github.com/sebastian-hofstaetter/matchmaker.

The paper's second teacher is a ColBERT; here it is the guide, whose vectors are looked up.
"""

import torch
from pydantic import Field

from negset.training.margins import margin_errors
from negset.training.objective import LossInputs, LossParams, cosines, guide_vectors, loss, teacher_scores


class DualTeacherParams(LossParams):
    """How the teachers' scores compare with cosines and with each other."""

    scale: float = Field(1.0, gt=0)
    """Margins of the set's teacher are multiplied by this; see `margin_mse`."""
    guide_scale: float = Field(1.0, gt=0)
    """Margins of the guide's cosines are multiplied by this."""
    guide_weight: float = Field(0.75, ge=0)
    """Weight of the guide's part; that of the set's teacher is 1."""


@loss("dual_teacher", params=DualTeacherParams, needs=["teacher", "guide"])
def dual_teacher(inputs: LossInputs, params: DualTeacherParams) -> torch.Tensor:
    """Give Margin-MSE on what the set's teacher scored plus `guide_weight` x Margin-MSE on all that counts, (B,)."""
    scores_BC, negative_BC = inputs.scores_BC(), inputs.negative_BC
    pairs_B = margin_errors(scores_BC, teacher_scores(inputs), inputs.target_B, negative_BC, params.scale)
    guide_BC = cosines(*guide_vectors(inputs))
    batch_B = margin_errors(scores_BC, guide_BC, inputs.target_B, negative_BC, params.guide_scale)
    return pairs_B + params.guide_weight * batch_B
