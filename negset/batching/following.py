"""Train by a plan that lies on disk: its tables are read a row group at a time, never whole."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from negset.arrays import Rows
from negset.batching.making import MASK_TABLE, PLAN_TABLE
from negset.batching.reading import OpenedPlan, open_plan
from negset.batching.renewing import InputsBy, renew_plan
from negset.errors import ConfigError, ContractError, listed
from negset.fingerprint import fingerprint
from negset.training.batches import Plan, Planned, PlannedRun, Renewal
from negset.training.examples import Examples, Groups

_COLUMNS: Final = ("batch", "query_id", "positive_id", "negative_ids", "in_batch")
_MASKS: Final = ("batch", "slot", "doc_id")


def planned_run(
    opened: OpenedPlan, examples: Examples, *, in_batch: bool = True, inputs_by: InputsBy | None = None
) -> PlannedRun:
    """Give the plan to a training run, with the number of its batches and what it is known by.

    With `inputs_by`, what it is made of, the run can make it anew.
    """
    plan = training_plan(opened, examples, in_batch=in_batch)
    renewal = None
    if inputs_by is not None:
        renewal = Renewal(
            partial(renew_plan, opened.manifest, inputs_by),
            lambda folder: training_plan(open_plan(folder), examples, in_batch=in_batch),
        )
    batches = [one.batches for one in opened.manifest.epochs]
    return PlannedRun(plan, batches, fingerprint(opened.manifest), renewal)


def training_plan(opened: OpenedPlan, examples: Examples, *, in_batch: bool = True) -> Plan:
    """Give what a training run on `examples` takes its batches from.

    The plan's epochs are used in turn; asking for one more raises ConfigError. A batch has in-batch negatives where
    both the plan and `in_batch` say so. Raises ContractError naming queries or documents that the run does not have.
    """
    rows = _Rows(examples)
    epochs = {one.epoch for one in opened.manifest.epochs}

    def plan_epoch(epoch: int) -> Iterator[Planned]:
        if epoch not in epochs:
            message = (
                f"the batch plan in {opened.folder} has {len(opened.manifest.epochs)} epochs, epoch {epoch + 1} was "
                "asked for: make it with --epochs, or set train.epochs"
            )
            raise ConfigError(message)
        masks = _Stream(opened.row_groups(MASK_TABLE, epoch, _MASKS), rows)
        for number, frame in _batches(opened.row_groups(PLAN_TABLE, epoch, _COLUMNS), rows):
            yield _planned(frame, masks.take(number), in_batch=in_batch)

    return plan_epoch


class _Rows:
    """Ids to the row numbers of a run, a row group at a time: a search for each batch would cost far more."""

    def __init__(self, examples: Examples) -> None:
        self._queries = _index(examples.query_ids)
        self._documents = _index(examples.document_ids)

    def visits(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Number the queries, positives and negatives of a row group; raise ContractError for those not there."""
        lists = frame.get_column("negative_ids")
        columns = {
            "batch": frame.get_column("batch"),
            "query": _numbered(frame.get_column("query_id"), self._queries, "queries"),
            "positive": _numbered(frame.get_column("positive_id"), self._documents, "documents"),
            "in_batch": frame.get_column("in_batch"),
        }
        if lists.null_count() < frame.height:
            flat = _numbered(lists.explode(empty_as_null=False), self._documents, "documents")
            offsets = np.r_[0, np.cumsum(lists.list.len().to_numpy())].astype(np.int64)
            columns["negatives"] = pl.Series(
                pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat)))
            )
        return pl.DataFrame(columns)

    def masks(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Number the documents of masked pairs; one that the run does not use cannot be in its batches."""
        return frame.join(self._documents, left_on="doc_id", right_on="id", maintain_order="left").drop("doc_id")


def _planned(frame: pl.DataFrame, masks: pl.DataFrame, *, in_batch: bool) -> Planned:
    negatives = None
    if "negatives" in frame.columns:
        lists = frame.get_column("negatives")
        flat = lists.explode(empty_as_null=False).to_numpy()
        negatives = Groups(np.r_[0, np.cumsum(lists.list.len().to_numpy())].astype(np.int64), flat)
    return Planned(
        frame.get_column("query").to_numpy(writable=True),
        in_batch and bool(frame.get_column("in_batch").all()),
        frame.get_column("positive").to_numpy(writable=True),
        (masks.get_column("slot").cast(pl.Int64).to_numpy(), masks.get_column("row").to_numpy()),
        negatives,
    )


def _index(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"id": ids}, schema={"id": pl.String}).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))


def _numbered(ids: pl.Series, index: pl.DataFrame, what: str) -> Rows:
    found = pl.DataFrame({"id": ids}).join(index, on="id", how="left", maintain_order="left")
    missing = found.filter(pl.col("row").is_null())
    if missing.height:
        names = missing.get_column("id").unique().sort().to_list()
        message = (
            f"the batch plan names {len(names)} {what} that this run does not have: {listed(names)}. Make the plan "
            "from the same version of the set, with the same train.split and train.held_out"
        )
        raise ContractError(message)
    return found.get_column("row").to_numpy()


def _batches(groups: Iterator[pl.DataFrame], rows: _Rows) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give number and rows of each batch; a batch may begin in one row group and end in the next."""
    held: list[pl.DataFrame] = []
    for group in groups:
        parts = pl.concat([*held, rows.visits(group)]).partition_by("batch", maintain_order=True)
        for part in parts[:-1]:
            yield int(part.item(0, "batch")), part
        held = parts[-1:]
    for part in held:
        yield int(part.item(0, "batch")), part


class _Stream:
    """Masked pairs in the order of batches, taken batch after batch."""

    def __init__(self, groups: Iterator[pl.DataFrame], rows: _Rows) -> None:
        self._groups = (rows.masks(group) for group in groups)
        self._held = next(self._groups, None)

    def take(self, number: int) -> pl.DataFrame:
        """Give the pairs of the batch `number`, and forget those before it."""
        parts: list[pl.DataFrame] = []
        while self._held is not None:
            batches = self._held.get_column("batch")
            low, high = (int(batches.search_sorted(value, side="left")) for value in (number, number + 1))
            parts.append(self._held[low:high])
            if high < self._held.height:
                self._held = self._held[high:]
                break
            self._held = next(self._groups, None)
        return (
            pl.concat(parts) if parts else pl.DataFrame(schema={"batch": pl.Int32, "slot": pl.Int32, "row": pl.Int64})
        )
