"""Make a plan: its visits epoch by epoch, checked, counted and written; one epoch is in memory at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import numpy as np
import polars as pl
import pyarrow as pa

from negset.arrays import Floats, Rows
from negset.batching.inputs import PlanInputs
from negset.batching.masks import known_in_batch, positives_of
from negset.batching.packing import check_visits
from negset.batching.planner import BatchPlan, GroupKind, PlanEpoch, PlanParams, PlanSettings, Suspects, Visits
from negset.batching.reading import epoch_file
from negset.progress import Progress, no_progress
from negset.store import make_folder
from negset.tables import ROW_GROUP, open_table, write_group
from negset.training.examples import Groups
from schemas.batches import EpochCounts

PLAN_TABLE: Final = "batch_plan"
MASK_TABLE: Final = "batch_masks"
KNOWN: Final = "known_positive"
SUSPECT: Final = "suspect"
_KINDS: Final = pl.Enum(sorted(get_args(GroupKind)))
_REASONS: Final = pl.Enum([KNOWN, SUSPECT])


def make_plan(
    inputs: PlanInputs,
    found: BatchPlan,
    params: PlanParams,
    settings: PlanSettings,
    folder: Path,
    progress: Progress = no_progress,
) -> tuple[list[EpochCounts], Rows]:
    """Write the tables of the plan below `folder`, a file for each epoch; give what was counted and visits by query.

    Raises ContractError where the plan breaks what it promises, ConfigError where it lacks what it needs.
    """
    return write_plan(inputs, found, params, settings, found.open(inputs, settings, params), folder, progress)


def write_plan(
    inputs: PlanInputs,
    found: BatchPlan,
    params: PlanParams,
    settings: PlanSettings,
    visit: PlanEpoch,
    folder: Path,
    progress: Progress = no_progress,
) -> tuple[list[EpochCounts], Rows]:
    """Write what `visit` gives for each epoch, as `make_plan` does."""
    for table in (PLAN_TABLE, MASK_TABLE):
        make_folder(folder / table)
    names = _Names(inputs)
    counts: list[EpochCounts] = []
    visits_Q = np.zeros(len(inputs.query_ids), dtype=np.int64)
    for done, epoch in enumerate(settings.visited):
        progress("plan", done, len(settings.visited))
        visits = visit(epoch)
        check_visits(
            visits,
            len(inputs.query_ids),
            _largest(settings, visits),
            every=found.coverage(params) == "every",
            repeats=found.repeats(params),
            name=found.name,
        )
        counts.append(write_epoch(names, visits, settings, epoch, found.name, folder))
        visits_Q += np.bincount(visits.query_V, minlength=len(visits_Q))
    progress("plan", len(settings.visited), len(settings.visited))
    return counts, visits_Q


def _largest(settings: PlanSettings, visits: Visits) -> int:
    return settings.batch_size * visits.stretch


class _Names:
    """The ids of the inputs as columns, made once."""

    def __init__(self, inputs: PlanInputs) -> None:
        self.inputs = inputs
        self.queries = pl.Series(inputs.query_ids, dtype=pl.String)
        self.documents = pl.Series(inputs.document_ids, dtype=pl.String)


def write_epoch(
    names: _Names, visits: Visits, settings: PlanSettings, epoch: int, strategy: str, folder: Path
) -> EpochCounts:
    """Write both tables of an epoch, a row group at a time; give what was counted."""
    positive_V = positives_of(names.inputs, visits, settings.seed, epoch)
    known = known_in_batch(names.inputs, visits, positive_V)
    slot_V = _slots(visits.batch_V)
    with open_table(PLAN_TABLE, folder / PLAN_TABLE / epoch_file(epoch)) as file:
        for rows in _parts(len(slot_V)):
            write_group(file, _plan_frame(names, visits, positive_V, slot_V, rows, epoch, strategy), PLAN_TABLE)
    masked = _mask_frame(names, visits, positive_V, slot_V, known, epoch)
    with open_table(MASK_TABLE, folder / MASK_TABLE / epoch_file(epoch)) as file:
        for rows in _parts(masked.height):
            write_group(file, masked[rows], MASK_TABLE)
    return count_epoch(visits, epoch, masked, len(known[0]))


def _parts(length: int) -> Iterator[slice]:
    for start in range(0, max(length, 1), ROW_GROUP):
        yield slice(start, min(start + ROW_GROUP, length))


def _slots(batch_V: Rows) -> Rows:
    starts = np.flatnonzero(np.r_[True, np.diff(batch_V) != 0][: len(batch_V)])
    return np.arange(len(batch_V)) - np.repeat(starts, np.diff(np.r_[starts, len(batch_V)]))


def _plan_frame(
    names: _Names, visits: Visits, positive_V: Rows, slot_V: Rows, rows: slice, epoch: int, strategy: str
) -> pl.DataFrame:
    query, batch = visits.query_V[rows], visits.batch_V[rows]
    height = len(query)
    return pl.DataFrame(
        {
            "epoch": np.full(height, epoch, dtype=np.int32),
            "batch": batch.astype(np.int32),
            "slot": slot_V[rows].astype(np.int32),
            "query_id": names.queries.gather(query),
            "positive_id": names.documents.gather(positive_V[rows]),
            "negative_ids": _lists(names.documents, visits.negatives, rows, height),
            "group_id": _group_ids(visits, rows, height),
            "group_kind": pl.Series([visits.kind], dtype=_KINDS).new_from_index(0, height),
            "in_batch": visits.in_batch_B[batch],
            "neighbour_rank": _optional(visits.rank_V, rows, height, pl.Int32),
            "distance": _optional(visits.distance_V, rows, height, pl.Float32),
            "sample_prob": _optional(visits.probability_V, rows, height, pl.Float32),
            "weight": np.ones(height, dtype=np.float32),
            "stage": pl.Series([visits.stage or None], dtype=pl.Enum([visits.stage])).new_from_index(0, height),
            "set_version": _versions(visits, rows, height),
            "strategy": pl.Series([strategy], dtype=pl.Enum([strategy])).new_from_index(0, height),
        }
    )


def _optional(values: Rows | Floats | None, rows: slice, height: int, dtype: type[pl.DataType]) -> pl.Series:
    if values is None:
        return pl.Series([None], dtype=dtype).new_from_index(0, height)
    column = pl.Series(values[rows])
    return (column.fill_nan(None) if column.dtype.is_float() else column).cast(dtype)


def _group_ids(visits: Visits, rows: slice, height: int) -> pl.Series:
    if visits.group_V is None:
        return pl.Series([None], dtype=pl.String).new_from_index(0, height)
    if visits.group_names is None:
        return pl.Series(visits.group_V[rows]).cast(pl.String)
    distinct, place = np.unique(visits.group_V[rows], return_inverse=True)
    return pl.Series([visits.group_names[group] for group in distinct.tolist()], dtype=pl.String).gather(place)


def _versions(visits: Visits, rows: slice, height: int) -> pl.Series:
    if visits.version_V is None:
        return pl.Series([None], dtype=pl.String).new_from_index(0, height)
    return pl.Series([*visits.version_names, None], dtype=pl.String).gather(visits.version_V[rows])


def _lists(documents: pl.Series, negatives: Groups | None, rows: slice, height: int) -> pl.Series:
    """Give the ids of the negatives of each visit as lists."""
    if negatives is None:
        return pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, height)
    offsets = negatives.offsets[rows.start : rows.stop + 1]
    ids = documents.gather(negatives.rows[offsets[0] : offsets[-1]]).to_arrow()
    lists = pa.LargeListArray.from_arrays(pa.array(offsets - offsets[0], type=pa.int64()), ids)
    return pl.Series(pl.from_arrow(lists))


def _mask_frame(
    names: _Names, visits: Visits, positive_V: Rows, slot_V: Rows, known: tuple[Rows, Rows], epoch: int
) -> pl.DataFrame:
    """Give the pairs to mask, each once, by visit and document.

    What is known is not suspected too, and nobody's own positive is masked for it.
    """
    nothing = np.empty(0, dtype=np.int64)
    suspects = visits.suspects or Suspects(nothing, nothing, np.empty(0))
    other = positive_V[suspects.visit_M] != suspects.document_M
    visit = np.r_[known[0], suspects.visit_M[other]]
    document = np.r_[known[1], suspects.document_M[other]]
    value = np.r_[np.full(len(known[0]), np.nan), suspects.value_M[other]]
    suspected = np.arange(len(visit)) >= len(known[0])
    order = np.lexsort((suspected, document, visit))
    fresh = np.r_[True, (np.diff(visit[order]) != 0) | (np.diff(document[order]) != 0)][: len(order)]
    order = order[fresh]
    rows = visit[order]
    reasons = pl.Series(_REASONS.categories)
    return pl.DataFrame(
        {
            "epoch": np.full(len(order), epoch, dtype=np.int32),
            "batch": visits.batch_V[rows].astype(np.int32),
            "slot": slot_V[rows].astype(np.int32),
            "query_id": names.queries.gather(visits.query_V[rows]),
            "doc_id": names.documents.gather(document[order]),
            "reason": reasons.gather(suspected[order].astype(np.int64)).cast(_REASONS),
            "value": pl.Series(value[order], dtype=pl.Float64).fill_nan(None).cast(pl.Float32),
        }
    )


def count_epoch(visits: Visits, epoch: int, masked: pl.DataFrame, known: int) -> EpochCounts:
    """Count what the epoch has."""
    sizes_B = np.bincount(visits.batch_V, minlength=len(visits.in_batch_B))
    same, chance = same_group_pairs(visits)
    suspects = int((masked.get_column("reason") == SUSPECT).sum()) if masked.height else 0
    return EpochCounts(
        epoch=epoch,
        stage=visits.stage,
        batches=len(sizes_B),
        visits=len(visits.query_V),
        queries=len(np.unique(visits.query_V)),
        smallest=int(sizes_B.min(initial=len(visits.query_V))),
        largest=int(sizes_B.max(initial=0)),
        pairs=_pairs(sizes_B),
        same_group=same,
        by_chance=chance,
        in_batch_off=int((~visits.in_batch_B).sum()),
        masked_known=known,
        masked_suspects=suspects,
        notes=dict(visits.notes),
    )


def same_group_pairs(visits: Visits) -> tuple[int | None, float | None]:
    """Count the pairs of a batch that are of one group; give the share that a random order would have too."""
    if visits.group_V is None:
        return None, None
    if not len(visits.group_V):
        return 0, 0.0
    _, group_V = np.unique(visits.group_V, return_inverse=True)
    groups = int(group_V.max()) + 1
    _, together = np.unique(visits.batch_V * groups + group_V, return_counts=True)
    all_pairs = _pairs(np.array([len(group_V)]))
    return _pairs(together), _pairs(np.bincount(group_V)) / all_pairs if all_pairs else 0.0


def _pairs(sizes: Rows) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def visits_per_query(visits_Q: Rows, epochs: int) -> tuple[float, float, float]:
    """Give the least, the mean and the most visits of a query in an epoch."""
    if not len(visits_Q) or not epochs:
        return (0.0, 0.0, 0.0)
    per = visits_Q / epochs
    return (round(float(per.min()), 6), round(float(per.mean()), 6), round(float(per.max()), 6))
