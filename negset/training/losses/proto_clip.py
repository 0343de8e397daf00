"""Predict the other side's prototype too: ProtoCLIP (Chen et al. 2022, arXiv 2206.10996).

From the authors' code (clustering.py, loss.py): at each epoch queries and documents are clustered, each by itself; a
query learns to predict its document's prototype and the other way about. A student compares with centroids of its own
side that are grouped by the teacher's clusters (back-translation), so that a gap between both sides does not matter.
Their projection is a trained layer, ours the main directions of the epoch's vectors; an outside teacher is left out.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import cross_entropy

from negset.arrays import Matrix, Rows
from negset.errors import NegsetError
from negset.lots import id_keys
from negset.teaching.prototypes import fit_prototypes, means, nearest
from negset.training.directions import unit
from negset.training.objective import EpochInputs, LossInputs, LossParams, loss, widened
from negset.training.shares import log_shares

_ATTEMPTS: Final = 5
"""Ten planted clusters are found with five attempts, and not with one (adjusted Rand index 1.0 and .88)."""
_ROUNDS: Final = 20
_SHARE: Final = 10
_MOST: Final = 4096


class ProtoClipParams(LossParams):
    """How texts are clustered, and what the prototypes weigh."""

    clusters: int = Field(0, ge=0)
    """Prototypes of each side; 0 for a tenth of its texts, between 2 and 4,096."""
    sample: int = Field(200_000, ge=1)
    """Most texts of a side that the centroids are fitted on; all are given a prototype."""
    teacher_temperature: float = Field(0.01, gt=0)
    """How widely a teacher's prototypes share the target; towards 0 the nearest is all of it."""
    weight: float = Field(1.0, gt=0)
    """What the prototypes' terms weigh beside InfoNCE."""
    projection: int = Field(0, ge=0)
    """Dimensions that are left for clustering and for the prototypes' terms; 0 for all."""
    mask_same: bool = False
    """Whether a document of the positive's prototype is no negative."""


Episode = Mapping[str, torch.Tensor]


def prepare(inputs: EpochInputs, params: ProtoClipParams) -> Episode:
    """Cluster both sides as the model sees them now.

    Gives for each side the prototype of each of its texts, the centroids, and the centroids that the other side's
    clusters have on it, zero where a cluster has none.
    """
    vectors = {"query": inputs.query_vectors().float().numpy(), "document": inputs.document_vectors().float().numpy()}
    positive_Q = inputs.positive_row_Q.numpy()
    basis_DP = _basis(np.concatenate(list(vectors.values())), params.projection)
    vectors = {side: _rows_of_length_one(one @ basis_DP) for side, one in vectors.items()}
    fitted = {side: _cluster(one, side, inputs.moment.seed, params) for side, one in vectors.items()}
    labels = {side: one[1] for side, one in fitted.items()}
    episode: dict[str, NDArray[np.generic]] = {"basis": basis_DP}
    for side, (centroids_KD, prototype_N) in fitted.items():
        episode |= {f"{side}_centroids": centroids_KD, f"{side}_prototype": prototype_N}
    paired = vectors["document"][positive_Q]
    episode["query_students"] = _students(vectors["query"], labels["document"][positive_Q], len(fitted["document"][0]))
    episode["document_students"] = _students(paired, labels["query"], len(fitted["query"][0]))
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in episode.items()}


@loss("proto_clip", params=ProtoClipParams, needs=["episode"], prepare=prepare)
def proto_clip(inputs: LossInputs, params: ProtoClipParams) -> torch.Tensor:
    """Give each query InfoNCE plus the mean of two cross entropies over prototypes, (B,).

    One is of the query with its positive's prototype, one of the positive with the query's. A prototype without a
    centroid on the student's side takes no part, and a pair with such a prototype has no such term.
    """
    if not isinstance(inputs.episode, Mapping):
        message = f"proto_clip needs what its prepare gives, not {type(inputs.episode).__name__}"
        raise NegsetError(message)
    episode = {name: one.to(inputs.queries_BD.device) for name, one in inputs.episode.items()}
    document_B = episode["document_prototype"][inputs.candidate_row_C[inputs.target_B]]
    masked_BC = inputs.masked_BC
    if params.mask_same:
        same_BC = episode["document_prototype"][inputs.candidate_row_C] == document_B[:, None]
        masked_BC = masked_BC | (same_BC & inputs.negative_BC)
    plain_B = cross_entropy(
        (inputs.scores_BC() / inputs.temperature).masked_fill(masked_BC, float("-inf")),
        inputs.target_B,
        reduction="none",
    )
    predicted_B = _predict(inputs, params, episode, "query", document_B) + _predict(
        inputs, params, episode, "document", episode["query_prototype"][inputs.query_row_B]
    )
    return plain_B + params.weight * 0.5 * predicted_B


def _predict(
    inputs: LossInputs, params: ProtoClipParams, episode: Episode, side: str, prototype_B: torch.Tensor
) -> torch.Tensor:
    """Give how badly the texts of `side` predict the prototypes of the other, (B,)."""
    own_BD = inputs.queries_BD if side == "query" else inputs.candidates_CD[inputs.target_B]
    students_KD = episode[f"{side}_students"].to(widened(own_BD).dtype)
    teacher_KD = episode["document_centroids" if side == "query" else "query_centroids"].to(students_KD.dtype)
    student_BD = unit(widened(own_BD) @ episode["basis"].to(students_KD.dtype))
    there_K = students_KD.any(dim=1)
    there_BK = there_K.expand(len(prototype_B), -1)
    wanted_BK = soft_targets(teacher_KD, prototype_B, there_BK, params.teacher_temperature)
    log_p_BK = log_shares(student_BD @ students_KD.T / inputs.temperature, there_BK)
    return -(wanted_BK * log_p_BK).sum(dim=1) * there_K[prototype_B]


def soft_targets(
    centroids_KD: torch.Tensor, prototype_B: torch.Tensor, there_BK: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Give how the prototypes share the target of each text, (B, K): by their centroids' cosines with its own one."""
    shares_BK = log_shares(centroids_KD[prototype_B] @ centroids_KD.T / temperature, there_BK).exp()
    return shares_BK.masked_fill(~there_BK, 0.0)


def _cluster(vectors_ND: Matrix, side: str, seed: int, params: ProtoClipParams) -> tuple[Matrix, Rows]:
    """Give the centroids of a side and the nearest one of each of its texts."""
    keys_N = id_keys([f"{side}:{row}" for row in range(len(vectors_ND))])
    rows = np.sort(np.argsort(keys_N, kind="stable")[: params.sample])
    clusters = params.clusters or min(max(len(vectors_ND) // _SHARE, 2), _MOST)
    centroids_KD = fit_prototypes(vectors_ND[rows], keys_N[rows], clusters, seed, _ATTEMPTS, _ROUNDS)
    return centroids_KD, nearest(vectors_ND, centroids_KD)[0]


def _students(vectors_QD: Matrix, prototype_Q: Rows, clusters: int) -> Matrix:
    """Give the mean directions of the vectors of each of the other side's clusters, zero where there are none."""
    found_KD, there = means(vectors_QD, prototype_Q)
    students_KD = np.zeros((clusters, vectors_QD.shape[1]), dtype=np.float32)
    students_KD[there] = found_KD
    return students_KD


def _basis(vectors_ND: Matrix, width: int) -> Matrix:
    """Give the `width` main directions of the vectors about the origin, (D, P); all of space for 0."""
    if not width or width >= vectors_ND.shape[1]:
        return np.eye(vectors_ND.shape[1], dtype=np.float32)
    _values, directions_DD = np.linalg.eigh(vectors_ND.T.astype(np.float64) @ vectors_ND)
    return directions_DD[:, : -width - 1 : -1].astype(np.float32)


def _rows_of_length_one(vectors_ND: Matrix) -> Matrix:
    length_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return (vectors_ND / np.where(length_N1 > 0, length_N1, 1)).astype(np.float32)
