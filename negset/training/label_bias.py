"""How far the loss over some negatives is from the loss over all documents (GENRE's baseline, as a diagnostic).

With few negatives a softmax loss is small however bad the model is, so losses over sets of different sizes do not
compare. If k negatives were drawn evenly, each would stand for M/k of the M documents that are none of the query's
positives; what remains after that correction is the set's own bias: its negatives are harder or easier than the rest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from negset.errors import ContractError
from negset.training.batches import turns
from negset.training.examples import Examples, Rows


@dataclass(frozen=True)
class LabelBias:
    """The mean loss of the same queries over all documents, over some, and over some that stand for all."""

    queries: int
    exact: float
    sampled: float
    corrected: float

    def numbers(self) -> Mapping[str, float]:
        """Give them with their differences, which are what to report; a negative one is too small a loss."""
        return {
            "queries": self.queries,
            "exact": self.exact,
            "sampled": self.sampled,
            "corrected": self.corrected,
            "sampled_minus_exact": self.sampled - self.exact,
            "corrected_minus_exact": self.corrected - self.exact,
        }


def measure_label_bias(
    query_vectors: torch.Tensor, document_vectors: torch.Tensor, examples: Examples, temperature: float, queries_B: Rows
) -> LabelBias:
    """Compare the loss of `queries_B` over their own negatives with that over all documents of the run.

    Rows of the vectors are those of `examples`, of length one. B x N scores are computed at once: choose few queries.
    A query's known positives count in neither. Raises ContractError where none of the queries has a negative.
    """
    queries_B = queries_B[examples.negatives.sizes()[queries_B] > 0]
    scores_BN = query_vectors[torch.from_numpy(queries_B)].double() @ document_vectors.double().T
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
        exact=loss(negative_BN, once_B),
        sampled=loss(sampled_BN, once_B),
        corrected=loss(sampled_BN, all_B.to(positive_B) / drawn_B),
    )


def _cells(scores_BN: torch.Tensor, row: Rows, documents: Rows) -> torch.Tensor:
    cells_BN = np.zeros(scores_BN.shape, dtype=np.bool_)
    cells_BN[row, documents] = True
    return torch.from_numpy(cells_BN)
