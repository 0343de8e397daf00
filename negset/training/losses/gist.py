"""InfoNCE in which a guide says what is no negative: GISTEmbed (Solatorio 2024, arXiv 2402.16829).

Code: github.com/avsolatorio/GISTEmbed, trainer/loss.py; margins as in sentence-transformers. Where a set stores what
its rules suspect, `train.mask_suspects` masks it without a guide.
"""

from typing import Final, Literal

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from negset.training.objective import LossInputs, LossParams, cosines, guide_vectors, loss

EPSILON: Final = 1e-6
"""Guide cosines nearer than this are equal: copies of a text differ by rounding."""


class GistParams(LossParams):
    """How near the guide lets a negative come, and what is compared."""

    margin: float = Field(0.0, ge=0)
    """How far below the positive's similarity the guide's limit lies."""
    margin_kind: Literal["absolute", "relative"] = "absolute"
    """Whether `margin` is a difference or a share of the positive's similarity (of its size, whatever its sign)."""
    queries: bool = True
    """Whether the other queries of the batch are negatives of a query too."""
    documents: bool = True
    """Whether the other positives are negatives of a query's positive too."""


@loss("gist", params=GistParams, needs=["guide"])
def gist(inputs: LossInputs, params: GistParams) -> torch.Tensor:
    """Give minus the log of the positive's share among what the guide lets count, (B,).

    Candidates and other queries are masked for a query, and other positives for its positive, where the guide finds
    them more similar than the query and its positive, less the margin; a tie counts. The positive always counts. A
    query never meets itself, nor one whose positive is known to be relevant to it, or its own to that one.
    """
    guide_BG, guide_CG = guide_vectors(inputs)
    target_B, masked_BC = inputs.target_B, inputs.masked_BC
    guide_BC = cosines(guide_BG, guide_CG)
    limit_B1 = _limits(guide_BC.gather(1, target_B[:, None]), params)
    near_BC = (guide_BC > limit_B1).scatter(1, target_B[:, None], False)
    logits = [inputs.scores_BC().masked_fill(masked_BC | near_BC, float("-inf"))]
    others = masked_BC[:, target_B] | (target_B[:, None] == target_B)
    if params.queries:
        near_BB = (cosines(guide_BG, guide_BG) > limit_B1) | others | others.T
        logits.append(cosines(inputs.queries_BD, inputs.queries_BD).masked_fill(near_BB, float("-inf")))
    if params.documents:
        positives_BD, guide_positives_BG = inputs.candidates_CD[target_B], guide_CG[target_B]
        near_BB = (cosines(guide_positives_BG, guide_positives_BG) > limit_B1) | others
        logits.append(cosines(positives_BD, positives_BD).masked_fill(near_BB, float("-inf")))
    return cross_entropy(torch.cat(logits, 1) / inputs.temperature, target_B, reduction="none")


def _limits(positive_B1: torch.Tensor, params: GistParams) -> torch.Tensor:
    slack = params.margin if params.margin_kind == "absolute" else params.margin * positive_B1.abs()
    return positive_B1 - slack + EPSILON
