"""Documents as classes: a softmax over prototypes on the unit sphere (hyperspherical embedding), partly our own.

The paper's own formula was not had; what is known is that features and class weights have length one and that unseen
classes are told by their nearest prototype. That a query and its positive are both examples of the positive's class
is our choice.
"""

import math

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from negset.errors import NegsetError
from negset.training.directions import unit
from negset.training.objective import LossInputs, LossParams, MemoryInputs, loss, widened


class HypersphericalParams(LossParams):
    """How sharp the softmax over classes is."""

    kappa: float = Field(20.0, gt=0)
    """What a cosine is multiplied by; the run's temperature is not used."""
    learn_kappa: bool = False
    """Whether kappa is trained along."""


class Prototypes(torch.nn.Module):
    """A vector for each document of the run, and kappa."""

    def __init__(self, vectors_ND: torch.Tensor, params: HypersphericalParams) -> None:
        super().__init__()
        self.vectors_ND = torch.nn.Parameter(vectors_ND.detach().clone())
        self.log_kappa = torch.nn.Parameter(torch.tensor(math.log(params.kappa)), requires_grad=params.learn_kappa)


def open_prototypes(memory: MemoryInputs, params: HypersphericalParams) -> Prototypes:
    """Start each prototype where the model puts its document."""
    return Prototypes(memory.document_vectors(), params)


@loss("hyperspherical", params=HypersphericalParams, needs=["memory"], open_parameters=open_prototypes)
def hyperspherical(inputs: LossInputs, params: HypersphericalParams) -> torch.Tensor:
    """Give each query the mean of two losses, (B,): how well it and its positive tell the positive's class.

    The classes are the candidates that count for the query; `train.candidates = "all"` makes them all documents.
    The length of vectors does not matter; a vector of zeros is as far from every class.
    """
    memory = inputs.memory
    if not isinstance(memory, Prototypes):
        message = f"hyperspherical needs the prototypes of open_prototypes, not {type(memory).__name__}"
        raise NegsetError(message)
    classes_CD = unit(widened(memory.vectors_ND)[inputs.candidate_row_C])

    def tell(vectors_BD: torch.Tensor) -> torch.Tensor:
        logits_BC = memory.log_kappa.exp() * (unit(widened(vectors_BD)) @ classes_CD.T)
        return cross_entropy(logits_BC.masked_fill(inputs.masked_BC, float("-inf")), inputs.target_B, reduction="none")

    return (tell(inputs.queries_BD) + tell(inputs.candidates_CD[inputs.target_B])) / 2


def tell_novel(support_SD: torch.Tensor, class_S: torch.Tensor, vectors_ND: torch.Tensor) -> torch.Tensor:
    """Give the class of each vector whose mean direction over the `support_SD` examples is nearest, (N,).

    Ties go to the smaller class; classes may be any numbers.
    """
    classes_K, place_S = torch.unique(class_S, return_inverse=True)
    sums_KD = torch.zeros(len(classes_K), support_SD.shape[1], dtype=support_SD.dtype, device=support_SD.device)
    prototypes_KD = unit(sums_KD.index_add(0, place_S, unit(support_SD)))
    cosine_NK = unit(vectors_ND) @ prototypes_KD.T
    best_NK = cosine_NK == cosine_NK.max(dim=1, keepdim=True).values
    return torch.take(classes_K, best_NK.int().argmax(dim=1))
