"""The softmax over all documents: the baseline without sampled negatives, after GENRE (De Cao et al. 2021).

GENRE writes an entity's name letter by letter, which compares with all names at once; a trie keeps it to names that
exist. Here every document is scored instead, so there is nothing to generate and no trie.
"""

import torch

from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.objective import LossInputs, LossParams, loss


class ExactSoftmaxParams(LossParams):
    """The exact softmax has no option but the run's temperature."""


@loss("exact_softmax", params=ExactSoftmaxParams, needs=["all_documents"])
def exact_softmax(inputs: LossInputs, _params: ExactSoftmaxParams) -> torch.Tensor:
    """Give for each query minus the log of its positive's share among all documents but its known positives, (B,)."""
    return info_nce(inputs, InfoNceParams())
