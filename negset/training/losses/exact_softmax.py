"""The softmax over all documents: the baseline without sampled negatives, after GENRE (De Cao et al. 2021).

GENRE writes an entity's name letter by letter, which compares with all names at once; a trie keeps it to names that
exist. Here every document is scored instead, so there is nothing to generate and no trie.
"""

import torch

from negset.training.losses.info_nce import InfoNceParams, info_nce, open_temperature
from negset.training.objective import LossInputs, loss


@loss("exact_softmax", params=InfoNceParams, needs=["all_documents"], open_parameters=open_temperature)
def exact_softmax(inputs: LossInputs, params: InfoNceParams) -> torch.Tensor:
    """Give for each query minus the log of its positive's share among all documents but its known positives, (B,)."""
    return info_nce(inputs, params)
