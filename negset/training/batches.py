"""Which queries share a batch, and which candidates each of them may be compared with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from negset.arrays import Matrix
from negset.encoders.encoder import Role
from negset.lots import id_keys, mix
from negset.training.cells import Cells
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
class Renewal:
    """How a plan is made anew during the run: `make` writes a few epochs of it to a folder, `follow` reads them there.

    `make` is given what turns texts into vectors by the model as it is then.
    """

    make: Callable[[Callable[[Sequence[str], Role], Matrix], range, Path], None]
    follow: Callable[[Path], Plan]


@dataclass(frozen=True)
class PlannedRun:
    """A plan that was made before the run: how many batches each of its epochs has, and a digest of it.

    `renewal` is there where the plan can be made anew, with as many batches in each epoch.
    """

    plan: Plan
    batches: Sequence[int]
    digest: str
    renewal: Renewal | None = None


@dataclass(frozen=True)
class Batch:
    """Queries and the candidates they share: the positives and hard negatives of all of them, each once.

    `target_B` is the column of each query's positive; `cells` say what counts and which negatives are a query's own.
    """

    queries_B: Rows
    candidates_C: Rows
    target_B: Rows
    cells: Cells

    @property
    def masked_BC(self) -> Mask:  # noqa: N802
        """True where a candidate does not count."""
        return np.asarray(self.cells.masked_BC())


def shuffled_plan(examples: Examples, seed: int, size: int, *, in_batch: bool) -> Plan:
    """Give the plan that visits every query once an epoch, in an order drawn from `seed`, epoch and query ids."""

    def plan_epoch(epoch: int) -> Iterator[Planned]:
        draws = mix(id_keys(examples.query_ids) ^ id_keys([f"{seed}:{epoch}:batches"]))
        order = np.lexsort((np.arange(len(draws)), draws))
        for start in range(0, len(order), size):
            yield Planned(order[start : start + size], in_batch)

    return plan_epoch


def shuffled_batches(examples: Examples, seed: int, size: int, epochs: int, *, in_batch: bool) -> PlannedRun:
    """Give `shuffled_plan` for so many `epochs`."""
    plan = shuffled_plan(examples, seed, size, in_batch=in_batch)
    return PlannedRun(plan, [-(-len(examples.query_ids) // size)] * epochs, "")


def collate_batch(
    examples: Examples, planned: Planned, seed: int, epoch: int, *, every_document: bool = False
) -> Batch:
    """Gather the candidates of the `planned` queries and mask those that are no negative of a query.

    A query with several positives takes them in turn, an epoch each, from a start drawn by its id.
    With `in_batch`, every candidate that is not a known positive of the query counts (the hard negatives of
    the others too, as in STAR); without it, only its own hard negatives do. With `every_document` all documents of
    the run are candidates, which is for small runs: B x N scores, and N texts embedded, at each step.
    """
    queries_B = planned.queries_B
    positive_B = turns(examples, queries_B, seed, epoch) if planned.positives_B is None else planned.positives_B
    row, hard, weights = _hard_negatives(examples, planned)
    candidates_C = np.arange(len(examples.document_ids)) if every_document else np.unique(np.r_[positive_B, hard])
    target_B = np.searchsorted(candidates_C, positive_B)
    column = np.searchsorted(candidates_C, hard)
    width = len(candidates_C)
    positives = np.arange(len(queries_B)) * width + target_B
    no_negatives = np.setdiff1d(_excluded(examples, planned, candidates_C), positives)
    exceptions = (
        no_negatives if planned.in_batch else np.union1d(np.setdiff1d(row * width + column, no_negatives), positives)
    )
    cells = Cells(
        len(queries_B),
        width,
        planned.in_batch,
        torch.from_numpy(exceptions // width),
        torch.from_numpy(exceptions % width),
        torch.from_numpy(row),
        torch.from_numpy(column),
        torch.from_numpy(weights),
    )
    return Batch(queries_B, candidates_C, target_B, cells)


def _hard_negatives(examples: Examples, planned: Planned) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Give place in the batch, document and weight of each hard negative; what the plan brings anew weighs 1."""
    row, own = examples.negatives.take(planned.queries_B)
    weight = examples.negative_weights[examples.negatives.entries(planned.queries_B)]
    if planned.negatives is None:
        return row, own, weight
    places, chosen = planned.negatives.take(np.arange(len(planned.queries_B)))
    code = row * len(examples.document_ids) + own
    order = np.argsort(code, kind="stable")
    wanted = places * len(examples.document_ids) + chosen
    at = np.minimum(np.searchsorted(code[order], wanted), max(len(code) - 1, 0))
    there = code[order][at] == wanted if len(code) else np.zeros(len(wanted), dtype=np.bool_)
    found = np.ones(len(chosen), dtype=np.float32)
    found[there] = weight[order][at[there]]
    return places, chosen, found


def turns(examples: Examples, queries_B: Rows, seed: int, epoch: int) -> Rows:
    """Give each query one of its positives: the next one each epoch, from a start drawn by its id."""
    ids = [examples.query_ids[row] for row in queries_B.tolist()]
    starts = mix(id_keys(ids) ^ id_keys([f"{seed}:positives"])) >> np.uint64(1)
    turn_B = (starts.astype(np.int64) + epoch) % examples.positives.sizes()[queries_B]
    return examples.positives.rows[examples.positives.offsets[queries_B] + turn_B]


def _excluded(examples: Examples, planned: Planned, candidates_C: Rows) -> Rows:
    """Give the cells, row by row, of known positives and of what the plan takes for false negatives."""
    cells = [_cells(candidates_C, *examples.known.take(planned.queries_B))]
    if planned.masked is not None:
        cells.append(_cells(candidates_C, *planned.masked))
    return np.concatenate(cells)


def _cells(candidates_C: Rows, row: Rows, documents: Rows) -> Rows:
    """Give the cell of each batch row and document that is among the sorted candidates."""
    column = np.minimum(np.searchsorted(candidates_C, documents), len(candidates_C) - 1)
    there = candidates_C[column] == documents
    return np.asarray(row[there] * len(candidates_C) + column[there], dtype=np.int64)
