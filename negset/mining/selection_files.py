"""Write a selection as the tables of a negative set, with bounded memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from negset.mining.selection import Selection
from negset.tables import ROW_GROUP, write_table

PART_ROWS = 8 * ROW_GROUP
"""Rows in a file. Fixed, so that the block size of a run cannot move the borders."""


@dataclass(frozen=True)
class Totals:
    """What a selection came to: rows, queries by fate and by reason, candidates by the rule that rejected them."""

    candidates: int
    negatives: int
    fates: dict[str, int]
    reasons: dict[str, int]
    rejected_by: dict[str, int]


class PartWriter:
    """Write the rows of one table, given in the order of its key, as files of `PART_ROWS` rows."""

    def __init__(self, table: str, folder: Path) -> None:
        self.table = table
        self.folder = folder / "data" / table
        self.folder.mkdir(parents=True)
        self.waiting: list[pl.DataFrame] = []
        self.rows = 0
        self.parts = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next rows and write the files that they fill."""
        if frame.height or not self.waiting:
            self.waiting.append(frame)
            self.rows += frame.height
        while self.rows >= PART_ROWS:
            self._write(PART_ROWS)

    def close(self) -> None:
        """Write what is left. A table without rows is one file without rows."""
        if self.rows or (self.waiting and not self.parts):
            self._write(self.rows)

    def _write(self, count: int) -> None:
        rows = pl.concat([frame for frame in self.waiting if frame.height] or self.waiting[:1])
        write_table(rows[:count], self.table, self.folder / f"part-{self.parts:05d}.parquet", presorted=True)
        self.waiting, self.rows, self.parts = [rows[count:]], self.rows - count, self.parts + 1


def write_selection(selections: Iterable[Selection], folder: Path, *, keep_candidates: bool = True) -> Totals:
    """Write `selections` (of consecutive queries) below `folder` as data/<table>/part-*.parquet, and count them."""
    negatives, fates = PartWriter("negatives", folder), PartWriter("fates", folder)
    candidates = PartWriter("candidates", folder) if keep_candidates else None
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("rows", "fate", "reason", "rejected_by")}
    for selection in selections:
        negatives.add(selection.negatives)
        fates.add(selection.fates)
        if candidates is not None:
            candidates.add(selection.candidates)
        _count(selection, counts)
    for writer in (negatives, fates, candidates):
        if writer is not None:
            writer.close()
    return Totals(
        counts["rows"]["candidates"],
        counts["rows"]["negatives"],
        *(dict(sorted(counts[name].items())) for name in ("fate", "reason", "rejected_by")),
    )


def _count(selection: Selection, counts: dict[str, Counter[str]]) -> None:
    counts["rows"].update(candidates=selection.candidates.height, negatives=selection.negatives.height)
    words = (selection.fates["fate"], selection.fates["reason"], selection.candidates["rejected_by"])
    for column in words:
        found = column.drop_nulls().cast(pl.String).value_counts()
        counts[column.name].update(dict(found.iter_rows()))
