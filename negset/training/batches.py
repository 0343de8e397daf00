"""Which queries share a batch, and which candidates each of them may be compared with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negset.lots import id_keys, mix
from negset.training.examples import Examples, Groups, Rows

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Planned:
    """The queries of a batch, as rows, before their candidates are gathered.

    `positives_B` are document rows where the plan chooses them; without them a query's positives take turns.
    With `in_batch`, what the other queries bring counts as negatives too. `masked` are pairs of a place in the batch
    and a document row that the plan takes for false negatives. `negatives` are the hard negatives of each place, where
    the plan chooses among them or brings others.
    """

    queries_B: Rows
    in_batch: bool
    positives_B: Rows | None = None
    masked: tuple[Rows, Rows] | None = None
    negatives: Groups | None = None


Plan = Callable[[int], Iterator[Planned]]
"""Gives the batches of an epoch, counted from 0, always the same ones."""


@dataclass(frozen=True)
class PlannedBatches:
    """A plan, and how many batches each of its epochs has."""

    plan: Plan
    steps: Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Queries and the candidates they share: the positives and hard negatives of all of them, each once.

    `target_B` is the column of each query's positive; `masked_BC` is true where a candidate does not count, `own_BC`
    at a query's own hard negatives, whose weights in the set `weight_BC` holds (1 elsewhere).
    """

    queries_B: Rows
    candidates_C: Rows
    target_B: Rows
    masked_BC: Mask
    own_BC: Mask
    weight_BC: NDArray[np.float32]


def shuffled_plan(examples: Examples, seed: int, size: int, *, in_batch: bool) -> Plan:
    """Give the plan that visits every query once an epoch, in an order drawn from `seed`, epoch and query ids."""

    def plan_epoch(epoch: int) -> Iterator[Planned]:
        draws = mix(id_keys(examples.query_ids) ^ id_keys([f"{seed}:{epoch}:batches"]))
        order = np.lexsort((np.arange(len(draws)), draws))
        for start in range(0, len(order), size):
            yield Planned(order[start : start + size], in_batch)

    return plan_epoch


def collate_batch(examples: Examples, planned: Planned, seed: int, epoch: int) -> Batch:
    """Gather the candidates of the `planned` queries and mask those that are no negative of a query.

    A query with several positives takes them in turn, an epoch each, from a start drawn by its id.
    With `in_batch`, every candidate that is not a known positive of the query counts (the hard negatives of
    the others too, as in STAR); without it, only its own hard negatives do.
    """
    queries_B = planned.queries_B
    positive_B = turns(examples, queries_B, seed, epoch) if planned.positives_B is None else planned.positives_B
    row, hard, weights = _hard_negatives(examples, planned)
    candidates_C = np.unique(np.r_[positive_B, hard])
    column = np.searchsorted(candidates_C, hard)
    own_BC = np.zeros((len(queries_B), len(candidates_C)), dtype=np.bool_)
    own_BC[row, column] = True
    weight_BC = np.ones(own_BC.shape, dtype=np.float32)
    weight_BC[row, column] = weights
    masked_BC = mask_candidates(examples, queries_B, candidates_C, positive_B, own_BC, in_batch=planned.in_batch)
    if planned.masked is not None:
        _mask_pairs(masked_BC, candidates_C, planned.masked, positive_B)
    return Batch(queries_B, candidates_C, np.searchsorted(candidates_C, positive_B), masked_BC, own_BC, weight_BC)


def _hard_negatives(examples: Examples, planned: Planned) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Give place in the batch, document and weight of each hard negative; what the plan brings anew weighs 1."""
    row, own = examples.negatives.take(planned.queries_B)
    weights = examples.negative_weights[examples.negatives.entries(planned.queries_B)]
    if planned.negatives is None:
        return row, own, weights
    places, chosen = planned.negatives.take(np.arange(len(planned.queries_B)))
    documents = len(examples.document_ids)
    known = np.argsort(row * documents + own, kind="stable")
    codes = (row * documents + own)[known]
    at = np.searchsorted(codes, places * documents + chosen)
    there = at < len(codes)
    there[there] = codes[at[there]] == (places * documents + chosen)[there]
    found = np.ones(len(chosen), dtype=np.float32)
    found[there] = weights[known[at[there]]]
    return places, chosen, found


def turns(examples: Examples, queries_B: Rows, seed: int, epoch: int) -> Rows:
    """Give each query one of its positives: the next one each epoch, from a start drawn by its id."""
    ids = [examples.query_ids[row] for row in queries_B.tolist()]
    starts = mix(id_keys(ids) ^ id_keys([f"{seed}:positives"])) >> np.uint64(1)
    turn_B = (starts.astype(np.int64) + epoch) % examples.positives.sizes()[queries_B]
    return examples.positives.rows[examples.positives.offsets[queries_B] + turn_B]


def _mask_pairs(masked_BC: Mask, candidates_C: Rows, pairs: tuple[Rows, Rows], positive_B: Rows) -> None:
    """Mask `pairs` of batch place and document row, but never a query's own positive."""
    row, documents = pairs
    column = np.minimum(np.searchsorted(candidates_C, documents), len(candidates_C) - 1)
    there = (candidates_C[column] == documents) & (positive_B[row] != documents)
    masked_BC[row[there], column[there]] = True


def mask_candidates(
    examples: Examples, queries_B: Rows, candidates_C: Rows, positive_B: Rows, own_BC: Mask, *, in_batch: bool
) -> Mask:
    """Tell which of the sorted `candidates_C` do not count for each query: known positives but its own one.

    Without `in_batch` nothing counts but a query's positive and, where `own_BC` is true, its hard negatives.
    """
    masked_BC = np.zeros(own_BC.shape, dtype=np.bool_) if in_batch else ~own_BC
    masked_BC[_columns(examples.known, queries_B, candidates_C)] = True
    masked_BC[np.arange(len(queries_B)), np.searchsorted(candidates_C, positive_B)] = False
    return masked_BC


def _columns(groups: Groups, queries_B: Rows, candidates_C: Rows) -> tuple[Rows, Rows]:
    """Give batch row and column of each document of `groups` that is among the candidates."""
    row, documents = groups.take(queries_B)
    column = np.minimum(np.searchsorted(candidates_C, documents), len(candidates_C) - 1)
    there = candidates_C[column] == documents
    return row[there], column[there]
