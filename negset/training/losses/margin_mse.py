"""Learn the teacher's margins: Margin-MSE (Hofstätter et al. 2020, arXiv 2010.02666)."""

import torch
from pydantic import Field

from negset.training.margins import margin_errors
from negset.training.objective import LossInputs, LossParams, loss, teacher_scores


class MarginMseParams(LossParams):
    """How the teacher's scores compare with cosines."""

    scale: float = Field(1.0, gt=0)
    """The teacher's margins are multiplied by this. A cosine's margin is at most 2: logits of a cross-encoder, which
    lie ten apart, want about 0.1."""


@loss("margin_mse", params=MarginMseParams, needs=["teacher"])
def margin_mse(inputs: LossInputs, params: MarginMseParams) -> torch.Tensor:
    """Give the mean of ((s+ - s-) - scale x (t+ - t-))^2 over the negatives that the teacher scored, (B,).

    Only differences of the teacher's scores matter, so a constant added to them changes nothing. A query whose
    positive or negatives the teacher did not score has loss 0. The temperature has no part.
    """
    return margin_errors(inputs.scores_BC(), teacher_scores(inputs), inputs.target_B, inputs.negative_BC, params.scale)
