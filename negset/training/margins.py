"""Squared errors of margins: how far the student's gap between positive and negative is from a teacher's."""

import torch

from negset.training.pairs import gaps, mean_of_query


def margin_errors(
    scores_BC: torch.Tensor, teacher_BC: torch.Tensor, target_B: torch.Tensor, negative_BC: torch.Tensor, scale: float
) -> torch.Tensor:
    """Give for each query the mean of ((s+ - s-) - scale x (t+ - t-))^2 over its negatives, (B,).

    Pairs count of which the teacher (NaN where it is silent) scored both; a query without one gets 0.
    """
    teacher_BC = teacher_BC.to(scores_BC.dtype)
    margins_BC = gaps(teacher_BC, target_B) * scale
    paired_BC = negative_BC & ~margins_BC.isnan()
    errors_BC = gaps(scores_BC, target_B) - margins_BC.nan_to_num(nan=0.0)
    return mean_of_query(errors_BC**2, paired_BC)
