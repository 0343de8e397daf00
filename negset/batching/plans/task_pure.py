"""Batches of one task, in-batch negatives off where classes repeat (NV-Embed: Lee et al. 2024, arXiv 2405.17428).

In a batch of a task with few classes most others are of a query's own class: as negatives they would be false. How many
are to be expected is computed before anything is trained.
"""

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from negset.arrays import Floats, Rows
from negset.batching.inputs import PlanInputs
from negset.batching.masks import pairs_in_groups, positives_of
from negset.batching.packing import concatenated, cut
from negset.batching.planner import (
    Coverage,
    PlanEpoch,
    PlanParams,
    PlanSettings,
    Suspects,
    Visits,
    plan,
    shuffled,
)
from negset.errors import ConfigError, listed

NO_TASK = "(no task)"


class TaskPureParams(PlanParams):
    """Options of batches of one task."""

    task: str = "task"
    """Metadata field of a query that names its task."""
    classes: str = ""
    """Metadata field that names a query's class; empty: queries with the same positive are of one class."""
    most_repeats: float = Field(1.0, ge=0)
    """Others of its own class that a query may expect in a full batch before in-batch negatives are off."""
    on_repeats: Literal["off", "refuse"] = "off"
    """Above that: turn in-batch negatives off for the task, or make no plan."""
    retrieval: str = ""
    """Tasks of the first stage, separated by commas."""
    first_epochs: int = Field(0, ge=0)
    """Epochs of the first stage: only `retrieval` tasks. After them all tasks, in-batch negatives off everywhere."""


def _coverage(params: TaskPureParams) -> Coverage:
    return "some" if params.first_epochs else "every"


@plan("task-pure", params=TaskPureParams, coverage=_coverage)
def task_pure(inputs: PlanInputs, settings: PlanSettings, params: TaskPureParams) -> PlanEpoch:
    """Batch queries of one task; in-batch negatives off where a batch would repeat classes."""
    names, task_Q = _coded(inputs.column(params.task))
    class_Q = inputs.positives.rows[inputs.positives.offsets[:-1]]
    if params.classes:
        class_Q = _coded(inputs.column(params.classes))[1]
    repeats_T = expected_repeats(task_Q, class_Q, len(names), settings.batch_size)
    in_batch_T = (repeats_T <= params.most_repeats) & settings.in_batch
    _refuse(names, repeats_T, params)
    first_T = _first_tasks(names, params)

    def visit(epoch: int) -> Visits:
        first = epoch < params.first_epochs
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "order")
        order = order[first_T[task_Q[order]]] if first else order
        query_V, batch_V = pure_batches(task_Q, order, settings, epoch)
        task_V = task_Q[query_V]
        task_B = task_V[np.flatnonzero(np.r_[True, np.diff(batch_V) != 0][: len(batch_V)])]
        in_batch_B = in_batch_T[task_B] & (first or not params.first_epochs)
        visits = Visits(query_V, batch_V, in_batch_B)
        own_V = inputs.negatives.sizes()[query_V]
        return Visits(
            query_V,
            batch_V,
            in_batch_B,
            kind="task",
            group_V=task_V,
            group_names=names,
            suspects=_same_class(inputs, visits, class_Q, settings, epoch) if params.classes else None,
            stage=("retrieval" if first else "all tasks") if params.first_epochs else "",
            notes={"visits_with_no_negative_at_all": int((~in_batch_B[batch_V] & (own_V == 0)).sum())},
        )

    return visit


def expected_repeats(task_Q: Rows, class_Q: Rows, tasks: int, size: int) -> Floats:
    """Give for each task how many others of its own class a query meets in a full batch, on average."""
    count_T = np.bincount(task_Q, minlength=tasks)
    width = int(class_Q.max(initial=0)) + 1
    code_C, count_C = np.unique(task_Q * width + class_Q, return_counts=True)
    same_T = np.bincount(code_C // width, weights=count_C * (count_C - 1), minlength=tasks)
    pairs_T = np.maximum(count_T * (count_T - 1), 1)
    return np.asarray((np.minimum(size, count_T) - 1) * same_T / pairs_T, dtype=np.float64)


def pure_batches(task_Q: Rows, order: Rows, settings: PlanSettings, epoch: int) -> tuple[Rows, Rows]:
    """Give the visits of `order`, each batch of one task, and the batches in an order that is drawn."""
    query_V = order[np.argsort(task_Q[order], kind="stable")]
    sizes_T = np.bincount(task_Q[query_V], minlength=1)
    batches_T = -(-sizes_T // settings.batch_size)
    first_T = np.cumsum(batches_T) - batches_T
    batch_V = np.concatenate(
        [first + cut(int(size), settings.batch_size) for first, size in zip(first_T, sizes_T, strict=True)]
    )
    turn_B = shuffled(np.arange(int(batches_T.sum()), dtype=np.uint64), settings.seed, epoch, "batches")
    place = concatenated(batch_V, turn_B)
    rank_B = np.empty(len(turn_B), dtype=np.int64)
    rank_B[turn_B] = np.arange(len(turn_B))
    return query_V[place], rank_B[batch_V[place]]


def _same_class(inputs: PlanInputs, visits: Visits, class_Q: Rows, settings: PlanSettings, epoch: int) -> Suspects:
    """Give the pairs of a batch that are of one class, and a query's hard negatives that are positives of its class."""
    positive_V = positives_of(inputs, visits, settings.seed, epoch)
    counted: NDArray[np.bool_] = visits.in_batch_B[visits.batch_V]
    code_V = visits.batch_V * (int(class_Q.max(initial=0)) + 1) + class_Q[visits.query_V]
    order = np.flatnonzero(counted)[np.argsort(code_V[counted], kind="stable")]
    left, right = pairs_in_groups(code_V[order])
    documents = max(len(inputs.document_ids), 1)
    query_P, document_P = inputs.positives.take(np.arange(len(class_Q)))
    visit_E, negative_E = inputs.negatives.take(visits.query_V)
    of_class = np.isin(
        class_Q[visits.query_V[visit_E]] * documents + negative_E, class_Q[query_P] * documents + document_P
    )
    visit_M = np.r_[order[left], visit_E[of_class]]
    return Suspects(visit_M, np.r_[positive_V[order[right]], negative_E[of_class]], np.full(len(visit_M), np.nan))


def _coded(values: pl.Series) -> tuple[list[str], Rows]:
    """Give the distinct values in order and the number of each row's."""
    filled = values.fill_null(NO_TASK)
    names = filled.unique().sort().to_list()
    return names, filled.replace_strict(
        names, range(len(names)), return_dtype=pl.Int64
    ).to_numpy() if names else np.empty(0, np.int64)


def _refuse(names: list[str], repeats_T: Floats, params: TaskPureParams) -> None:
    above = [
        f"{names[task]} ({repeats_T[task]:.1f})" for task in np.flatnonzero(repeats_T > params.most_repeats).tolist()
    ]
    if above and params.on_repeats == "refuse":
        message = (
            f"in-batch negatives would be of a query's own class in {len(above)} tasks: {listed(above)} others "
            f"expected in a batch, allowed are {params.most_repeats:g}. Set on_repeats=off, or a smaller batch size"
        )
        raise ConfigError(message)


def _first_tasks(names: list[str], params: TaskPureParams) -> NDArray[np.bool_]:
    wanted = [name.strip() for name in params.retrieval.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names]
    if unknown or (params.first_epochs and not wanted):
        message = (
            f"plan task-pure: no query has the task {listed(unknown)}"
            if unknown
            else "plan task-pure: first_epochs needs the option retrieval"
        )
        message = f"{message}; the tasks are {listed(names)}"
        raise ConfigError(message)
    return np.array([name in wanted for name in names], dtype=np.bool_)
