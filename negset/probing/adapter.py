"""The sharper probe: one linear map over frozen vectors, the same for queries and documents, from the identity.

It moves what the encoder already knows, so a few epochs over some thousand queries tell good negatives from bad ones
with a spread over seeds of a few thousandths of nDCG.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from negset.arrays import Matrix
from negset.probing.collection import ProbeCollection
from negset.probing.examples import Epoch, ProbeSet, draw_epoch
from negset.training.examples import Rows

RATE, EPOCHS, BATCH, TEMPERATURE = 5e-4, 4, 32, 0.05


@dataclass(frozen=True)
class AdapterProbe:
    """Frozen vectors of length one of all queries (Q, D) and documents (N, D) of a collection.

    `steps` are those of a training, over as many epochs as they take; 0 for all steps of EPOCHS epochs.
    """

    queries_QD: Matrix
    documents_ND: Matrix
    steps: int = 0

    def untrained(self, rows: Rows) -> tuple[Matrix, Matrix]:
        """Give the vectors of the query `rows` and of all documents before training."""
        return self.queries_QD[rows], self.documents_ND

    def train(
        self, collection: ProbeCollection, chosen: ProbeSet, trained: Rows, held_out: Rows, seed: int
    ) -> tuple[Matrix, Matrix]:
        """Train on the queries `trained` with the negatives of `chosen` alone; give vectors as `untrained` does."""
        queries_QD, documents_ND = torch.from_numpy(self.queries_QD), torch.from_numpy(self.documents_ND)
        map_DD = torch.eye(queries_QD.shape[1], requires_grad=True)
        optimizer = torch.optim.Adam([map_DD], lr=RATE)
        for query_BD, document_BKD, log_weights_BK in self._batches(collection, chosen, trained, seed):
            mapped_BD, mapped_BKD = normalize(query_BD @ map_DD), normalize(document_BKD @ map_DD, dim=-1)
            loss = own_negatives_loss(mapped_BD, mapped_BKD, log_weights_BK)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            mapped_HD = normalize(queries_QD[torch.from_numpy(held_out)] @ map_DD).numpy()
            return mapped_HD, normalize(documents_ND @ map_DD).numpy()

    def gradient(self, collection: ProbeCollection, chosen: ProbeSet, rows: Rows, seed: int) -> Matrix:
        """Give the gradient of the loss of the query `rows` at the identity, where training starts, flat (D * D)."""
        map_DD = torch.eye(self.queries_QD.shape[1], requires_grad=True)
        query_TD, document_TKD, log_weights_TK = self._gather(draw_epoch(collection, chosen, rows, seed, 0))
        mapped_TD, mapped_TKD = normalize(query_TD @ map_DD), normalize(document_TKD @ map_DD, dim=-1)
        own_negatives_loss(mapped_TD, mapped_TKD, log_weights_TK).backward()  # type: ignore[no-untyped-call]
        gradient = map_DD.grad if map_DD.grad is not None else torch.zeros_like(map_DD)
        return np.asarray(gradient.numpy().ravel(), dtype=np.float32)

    def _batches(
        self, collection: ProbeCollection, chosen: ProbeSet, trained: Rows, seed: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield the vectors of queries (B, D) and their candidates (B, K, D), and log weights, of each step."""
        per_epoch = -(-len(trained) // BATCH)
        steps = self.steps or EPOCHS * per_epoch
        for epoch in range(-(-steps // per_epoch)):
            drawn = draw_epoch(collection, chosen, trained, seed, epoch)
            for place in range(min(per_epoch, steps - epoch * per_epoch)):
                yield self._gather(drawn, slice(place * BATCH, (place + 1) * BATCH))

    def _gather(self, drawn: Epoch, part: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        queries_QD, documents_ND = torch.from_numpy(self.queries_QD), torch.from_numpy(self.documents_ND)
        candidates_BK = np.concatenate([drawn.positives_T[part, None], drawn.negatives_TK[part]], axis=1)
        return (
            queries_QD[torch.from_numpy(drawn.queries_T[part])],
            documents_ND[torch.from_numpy(candidates_BK)],
            torch.from_numpy(drawn.log_weights_TK[part]),
        )


def own_negatives_loss(
    query_BD: torch.Tensor, document_BKD: torch.Tensor, log_weights_BK: torch.Tensor
) -> torch.Tensor:
    """Give the mean InfoNCE of each query's positive, its first document, against its own negatives alone.

    A negative of weight w counts w times in the sum; minus infinity leaves it out.
    """
    logits_BK = torch.einsum("bd,bkd->bk", query_BD, document_BKD) / TEMPERATURE
    logits_BK = logits_BK + torch.nn.functional.pad(log_weights_BK, (1, 0))
    return cross_entropy(logits_BK, torch.zeros(len(logits_BK), dtype=torch.int64))
