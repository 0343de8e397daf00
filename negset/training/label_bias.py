"""How far the loss over some negatives is from the loss over all documents (GENRE's baseline, as a diagnostic).

With few negatives a softmax loss is small however bad the model is, so losses over sets of different sizes do not
compare. If k negatives were drawn evenly, each would stand for M/k of the M documents that are none of the query's
positives; what remains after that correction is the set's own bias: its negatives are harder or easier than the rest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from negset.errors import ContractError
from negset.lots import id_keys, mix
from negset.training.batches import turns
from negset.training.examples import Examples, Rows
from negset.training.model import Trainable
from schemas.train import TrainConfig

DOCUMENTS: Final = 5000
"""Documents of a run up to which its loss is compared with that over all of them."""
QUERIES: Final = 200
"""Queries compared at the most, by lot."""


@dataclass(frozen=True)
class LabelBias:
    """The mean loss of the same queries over all documents, over some, and over some that stand for all."""

    queries: int
    documents: int
    exact: float
    sampled: float
    corrected: float

    def numbers(self) -> Mapping[str, float]:
        """Give them with their differences, to 6 digits; a negative difference is too small a loss."""
        return {
            "queries": self.queries,
            "documents": self.documents,
            "exact": round(self.exact, 6),
            "sampled": round(self.sampled, 6),
            "corrected": round(self.corrected, 6),
            "sampled_minus_exact": round(self.sampled - self.exact, 6),
            "corrected_minus_exact": round(self.corrected - self.exact, 6),
        }


def run_label_bias(model: Trainable, examples: Examples, config: TrainConfig) -> LabelBias | None:
    """Compare the loss of `model` over the negatives of the set with that over all documents of the run.

    The queries are drawn by the run's seed among those that have negatives, at most `QUERIES`. None where the run has
    more than `DOCUMENTS` documents, or no query of it a negative. Scores are over the run's temperature, whatever the
    loss was.
    """
    drawn_B = _drawn(examples, config.seed)
    if len(examples.document_ids) > DOCUMENTS or not len(drawn_B):
        return None
    vectors_BD = torch.from_numpy(model.encode([examples.query_texts[row] for row in drawn_B.tolist()], "query"))
    vectors_ND = torch.from_numpy(model.encode(examples.document_texts, "document"))
    return measure_label_bias(vectors_BD, vectors_ND, examples, config.temperature, drawn_B)


def _drawn(examples: Examples, seed: int) -> Rows:
    """Give the rows of at most `QUERIES` queries that have negatives, by lot, ascending."""
    able = np.flatnonzero(examples.negatives.sizes())
    keys = id_keys([examples.query_ids[row] for row in able.tolist()])
    order = np.lexsort((keys, mix(keys ^ id_keys([f"{seed}:label bias"]))))
    return np.sort(able[order[:QUERIES]])


def measure_label_bias(
    vectors_BD: torch.Tensor, vectors_ND: torch.Tensor, examples: Examples, temperature: float, queries_B: Rows
) -> LabelBias:
    """Compare the loss of `queries_B` over their own negatives with that over all documents of the run.

    Vectors of these queries and of all documents have length one. B x N scores are computed at once: choose few
    queries. A query's known positives count in neither. Raises ContractError where one of the queries has no negative.
    """
    scores_BN = vectors_BD.double() @ vectors_ND.double().T
    target_B = torch.from_numpy(turns(examples, queries_B, seed=0, epoch=0))
    masked_BN = _cells(scores_BN, *examples.known.take(queries_B)).scatter(1, target_B[:, None], value=False)
    own_BN = _cells(scores_BN, *examples.negatives.take(queries_B))
    return label_bias(scores_BN / temperature, target_B, masked_BN, own_BN)


def label_bias(
    logits_BN: torch.Tensor, target_B: torch.Tensor, masked_BN: torch.Tensor, sampled_BN: torch.Tensor
) -> LabelBias:
    """Compare losses over all of N documents that are not masked with those over the `sampled_BN` among them.

    Raises ContractError where no query is given, or one has no sampled document but its positive.
    """
    negative_BN = (~masked_BN).scatter(1, target_B[:, None], value=False)
    sampled_BN = sampled_BN & negative_BN
    drawn_B, all_B = sampled_BN.sum(dim=1), negative_BN.sum(dim=1)
    if not len(logits_BN) or not drawn_B.all():
        message = f"{int((drawn_B == 0).sum())} of {len(logits_BN)} queries have no negative to compare with"
        raise ContractError(message)
    positive_B = logits_BN.gather(1, target_B[:, None])[:, 0]

    def loss(counted_BN: torch.Tensor, factor_B: torch.Tensor) -> float:
        others_B = torch.logsumexp(logits_BN.masked_fill(~counted_BN, -math.inf), dim=1) + factor_B.log()
        return float((torch.logaddexp(positive_B, others_B) - positive_B).mean())

    once_B = torch.ones_like(positive_B)
    return LabelBias(
        queries=len(logits_BN),
        documents=logits_BN.shape[1],
        exact=loss(negative_BN, once_B),
        sampled=loss(sampled_BN, once_B),
        corrected=loss(sampled_BN, all_B.to(positive_B) / drawn_B),
    )


def _cells(scores_BN: torch.Tensor, row: Rows, documents: Rows) -> torch.Tensor:
    cells_BN = np.zeros(scores_BN.shape, dtype=np.bool_)
    cells_BN[row, documents] = True
    return torch.from_numpy(cells_BN)
