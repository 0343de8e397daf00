"""The other probe: a static bag of embeddings, started from the word vectors of LSA of the corpus.

It learns words where the adapter moves directions, and needs no encoder: the corpus alone is enough.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from negset.arrays import Matrix
from negset.probing.adapter import own_negatives_loss
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, draw_epoch
from negset.training.bag import BagModule, count_words, open_bag
from negset.training.examples import Rows
from negset.training.model import StaticStart
from schemas.train import TrainConfig

RATE, EPOCHS, BATCH = 3e-3, 3, 128


@dataclass(frozen=True)
class WordsProbe:
    """Where the bag starts, and how often each word stands in each query (Q, V) and document (N, V)."""

    start: StaticStart
    queries_QV: csr_matrix
    documents_NV: csr_matrix

    def untrained(self, rows: Rows) -> tuple[Matrix, Matrix]:
        """Give the vectors of the query `rows` and of all documents before training."""
        return self._vectors(_open(self.start), rows)

    def train(
        self, collection: ProbeCollection, chosen: ProbeSet, trained: Rows, held_out: Rows, seed: int
    ) -> tuple[Matrix, Matrix]:
        """Train on the queries `trained` with the negatives of `chosen` alone; give vectors as `untrained` does."""
        module = _open(self.start)
        optimizers = [
            torch.optim.SparseAdam([module.embedding], lr=RATE),
            torch.optim.Adam([module.log_weight], lr=RATE),
        ]
        for epoch in range(EPOCHS):
            drawn = draw_epoch(collection, chosen, trained, seed, epoch)
            for start in range(0, len(trained), BATCH):
                part = slice(start, start + BATCH)
                candidates_BK = np.concatenate([drawn.positives_T[part, None], drawn.negatives_TK[part]], axis=1)
                distinct, place = np.unique(candidates_BK, return_inverse=True)
                query_BD = module(self.queries_QV[drawn.queries_T[part]])
                document_BKD = module(self.documents_NV[distinct])[torch.from_numpy(place.reshape(candidates_BK.shape))]
                loss = own_negatives_loss(query_BD, document_BKD, torch.from_numpy(drawn.log_weights_TK[part]))
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                for optimizer in optimizers:
                    optimizer.step()
        return self._vectors(module, held_out)

    def _vectors(self, module: BagModule, rows: Rows) -> tuple[Matrix, Matrix]:
        with torch.no_grad():
            return module(self.queries_QV[rows]).numpy(), module(self.documents_NV).numpy()


def open_words(collection: ProbeCollection, start: StaticStart) -> WordsProbe:
    """Count the words of all texts of `collection` once, for any number of probes."""
    tokenizer = open_bag(TrainConfig(), start).tokenizer
    texts = collection.queries.get_column("text").to_list()
    return WordsProbe(start, count_words(tokenizer, texts), count_words(tokenizer, collection.document_texts))


def _open(start: StaticStart) -> BagModule:
    return open_bag(TrainConfig(), start).module
