"""A linear map of frozen vectors, fitted on pairs: the smallest way to teach an encoder what a corpus calls relevant.

The same map for queries and documents, from the identity. Cosines after it are those of an encoder that was trained
in the domain a little, at the price of seconds.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from negset.arrays import Matrix, Rows
from negset.lots import mix
from negset.teaching.cross_fitting import Flags
from negset.threads import one_thread
from schemas.teach import AdapterConfig


@dataclass(frozen=True)
class MapExamples:
    """What a map is fitted on, an example for each labelled positive (E of them).

    `query_E`, `positive_E` and `negatives_EK` are rows of `queries_QD` and `documents_ND`, -1 where there is no
    negative; `key_E` are hashes of the ids, from which the order is drawn. `known` holds every pair of a query and a
    document row that must not be told apart, as `query * len(documents_ND) + document`, sorted.
    """

    queries_QD: Matrix
    documents_ND: Matrix
    query_E: Rows
    positive_E: Rows
    negatives_EK: Rows
    key_E: Rows
    known: Rows


def fit_map(examples: MapExamples, chosen: Rows, options: AdapterConfig, seed: int) -> Matrix:
    """Fit the map (D, D) on the examples in `chosen`: InfoNCE over own negatives and the positives of the batch.

    What is known to be relevant to a query is never its negative. One thread, and an order drawn from `seed` and the
    examples' keys alone: the same examples give the same map.
    """
    with one_thread():
        queries_QD, documents_ND = torch.from_numpy(examples.queries_QD), torch.from_numpy(examples.documents_ND)
        map_DD = torch.eye(examples.queries_QD.shape[1], requires_grad=True)
        optimizer = torch.optim.Adam([map_DD], lr=options.learning_rate)
        for epoch in range(options.epochs):
            for batch in _batches(examples.key_E[chosen], options.batch_size, seed, epoch):
                rows = chosen[batch]
                candidates_C, forbidden_BC, target_B = _candidates(examples, rows)
                queries_BD = normalize(queries_QD[torch.from_numpy(examples.query_E[rows])] @ map_DD)
                documents_CD = normalize(documents_ND[torch.from_numpy(candidates_C)] @ map_DD)
                logits_BC = (queries_BD @ documents_CD.T / options.temperature).masked_fill(
                    torch.from_numpy(forbidden_BC), float("-inf")
                )
                loss = cross_entropy(logits_BC, torch.from_numpy(target_B))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return map_DD.detach().numpy()


def _batches(key_E: Rows, size: int, seed: int, epoch: int) -> list[Rows]:
    salt = mix(np.array([seed * 1_000_003 + epoch], dtype=np.uint64))
    order = np.argsort(mix(key_E.astype(np.uint64) ^ salt), kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def _candidates(examples: MapExamples, rows: Rows) -> tuple[Rows, Flags, Rows]:
    """Give the documents of a batch, which of them do not count for each example, and where each positive is.

    An example's candidates are the positives of all and its own negatives, but for what is known to be relevant.
    """
    own_BK = examples.negatives_EK[rows]
    positive_B = examples.positive_E[rows]
    candidates_C = np.unique(np.concatenate([positive_B, own_BK[own_BK >= 0]]))
    counts_BC = np.broadcast_to(np.isin(candidates_C, positive_B), (len(rows), len(candidates_C))).copy()
    example, place = np.nonzero(own_BK >= 0)
    counts_BC[example, np.searchsorted(candidates_C, own_BK[example, place])] = True
    packed_BC = examples.query_E[rows][:, None] * len(examples.documents_ND) + candidates_C[None, :]
    counts_BC &= ~np.isin(packed_BC, examples.known)
    target_B = np.searchsorted(candidates_C, positive_B)
    counts_BC[np.arange(len(rows)), target_B] = True
    return candidates_C, ~counts_BC, target_B
