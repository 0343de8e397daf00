"""Which queries share a batch, and which candidates each of them may be compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.lots import id_keys, mix
from negset.training.examples import Examples, Groups, Rows

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Queries and the candidates they share: the positives and hard negatives of all of them, each once.

    `target_B` is the column of each query's positive; `masked_BC` is true where a candidate does not count.
    """

    queries_B: Rows
    candidates_C: Rows
    target_B: Rows
    masked_BC: Mask


def plan_epoch(examples: Examples, seed: int, epoch: int, size: int) -> Iterator[Rows]:
    """Yield the query rows of each batch of an epoch, in an order drawn from `seed`, `epoch` and the query ids."""
    draws = mix(id_keys(examples.query_ids) ^ id_keys([f"{seed}:{epoch}:batches"]))
    order = np.lexsort((np.arange(len(draws)), draws))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def collate_batch(examples: Examples, queries_B: Rows, seed: int, epoch: int, *, in_batch: bool) -> Batch:
    """Gather the candidates of `queries_B` and mask those that are no negative of a query.

    A query with several positives takes them in turn, an epoch each, from a start drawn by its id.
    With `in_batch`, every candidate that is not a known positive of the query counts (the hard negatives of
    the others too, as in STAR); without it, only its own hard negatives do.
    """
    ids = [examples.query_ids[row] for row in queries_B.tolist()]
    starts = mix(id_keys(ids) ^ id_keys([f"{seed}:positives"])) >> np.uint64(1)
    turn_B = (starts.astype(np.int64) + epoch) % examples.positives.sizes()[queries_B]
    positive_B = examples.positives.rows[examples.positives.offsets[queries_B] + turn_B]
    candidates_C = np.unique(np.r_[positive_B, examples.negatives.take(queries_B)[1]])
    masked_BC = mask_candidates(examples, queries_B, candidates_C, positive_B, in_batch=in_batch)
    return Batch(queries_B, candidates_C, np.searchsorted(candidates_C, positive_B), masked_BC)


def mask_candidates(
    examples: Examples, queries_B: Rows, candidates_C: Rows, positive_B: Rows, *, in_batch: bool
) -> Mask:
    """Tell which of the sorted `candidates_C` do not count for each query: known positives but its own one."""
    masked_BC = np.full((len(queries_B), len(candidates_C)), not in_batch)
    if not in_batch:
        masked_BC[_columns(examples.negatives, queries_B, candidates_C)] = False
    masked_BC[_columns(examples.known, queries_B, candidates_C)] = True
    masked_BC[np.arange(len(queries_B)), np.searchsorted(candidates_C, positive_B)] = False
    return masked_BC


def _columns(groups: Groups, queries_B: Rows, candidates_C: Rows) -> tuple[Rows, Rows]:
    """Give batch row and column of each document of `groups` that is among the candidates."""
    row, documents = groups.take(queries_B)
    column = np.minimum(np.searchsorted(candidates_C, documents), len(candidates_C) - 1)
    there = candidates_C[column] == documents
    return row[there], column[there]
