"""Losses whose targets the model draws itself: their squared gradients tell how a likelihood bends.

The Gauss-Newton-Bartlett estimator of Sophia (Liu et al. 2023, arXiv 2305.14342) needs targets drawn from the
model's own distribution over classes. For retrieval the classes of a query are the candidates of its batch.
"""

import torch
from torch.nn.functional import cross_entropy

from negset.training.objective import LossInputs

_WORD = (1 << 32) - 1


def sampled_losses(inputs: LossInputs) -> torch.Tensor:
    """Give the softmax loss of each query for a target drawn from that softmax, (B,), whatever the run's loss is."""
    logits_BC = (inputs.scores_BC() / inputs.temperature).masked_fill(inputs.masked_BC, float("-inf"))
    return cross_entropy(logits_BC, draw_targets(inputs, logits_BC.detach()), reduction="none")


def draw_targets(inputs: LossInputs, logits_BC: torch.Tensor) -> torch.Tensor:
    """Draw a column for each query by the softmax of its logits, (B,): the largest logit with Gumbel noise.

    The noise depends on the keys of query and candidate, the seed and the step alone.
    """
    moment = inputs.moment
    salt = (moment.seed * 0x9E3779B1 + moment.step * 0x85EBCA77 + 1) & _WORD
    bits_BC = _stir(_stir(inputs.query_key_B ^ salt)[:, None] + _stir(inputs.candidate_key_C)[None, :])
    uniform_BC = (bits_BC.double() + 0.5) * 2.0**-32
    return (logits_BC.double() - torch.log(-torch.log(uniform_BC))).argmax(dim=1)


def _stir(keys: torch.Tensor) -> torch.Tensor:
    """Spread `keys` over 32 bits, in 64 so that no product is cut (after the finaliser of MurmurHash3)."""
    low = (keys ^ (keys >> 32)) & _WORD
    low = ((low ^ (low >> 16)) * 0x45D9F3B) & _WORD
    low = ((low ^ (low >> 16)) * 0x45D9F3B) & _WORD
    return low ^ (low >> 16)
