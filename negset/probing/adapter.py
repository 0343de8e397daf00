"""The sharper probe: one linear map over frozen vectors, the same for queries and documents, from the identity.

It moves what the encoder already knows, so a few epochs over some thousand queries tell good negatives from bad ones
with a spread over seeds of a few thousandths of nDCG.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from negset.arrays import Matrix
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, draw_epoch
from negset.training.examples import Rows

RATE, EPOCHS, BATCH, TEMPERATURE = 5e-4, 4, 32, 0.05


@dataclass(frozen=True)
class AdapterProbe:
    """Frozen vectors of length one of all queries (Q, D) and documents (N, D) of a collection."""

    queries_QD: Matrix
    documents_ND: Matrix

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
        for epoch in range(EPOCHS):
            drawn = draw_epoch(collection, chosen, trained, seed, epoch)
            for start in range(0, len(trained), BATCH):
                part = slice(start, start + BATCH)
                candidates_BK = np.concatenate([drawn.positives_T[part, None], drawn.negatives_TK[part]], axis=1)
                query_BD = normalize(queries_QD[torch.from_numpy(drawn.queries_T[part])] @ map_DD)
                document_BKD = normalize(documents_ND[torch.from_numpy(candidates_BK)] @ map_DD, dim=-1)
                loss = own_negatives_loss(query_BD, document_BKD, torch.from_numpy(drawn.log_weights_TK[part]))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        with torch.no_grad():
            mapped_HD = normalize(queries_QD[torch.from_numpy(held_out)] @ map_DD).numpy()
            return mapped_HD, normalize(documents_ND @ map_DD).numpy()


def own_negatives_loss(
    query_BD: torch.Tensor, document_BKD: torch.Tensor, log_weights_BK: torch.Tensor
) -> torch.Tensor:
    """Give the mean InfoNCE of each query's positive, its first document, against its own negatives alone.

    A negative of weight w counts w times in the sum; minus infinity leaves it out.
    """
    logits_BK = torch.einsum("bd,bkd->bk", query_BD, document_BKD) / TEMPERATURE
    logits_BK = logits_BK + torch.nn.functional.pad(log_weights_BK, (1, 0))
    return cross_entropy(logits_BK, torch.zeros(len(logits_BK), dtype=torch.int64))
