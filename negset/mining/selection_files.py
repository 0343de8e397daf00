"""Write a selection as the tables of a negative set, with bounded memory."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from negset.mining.selection import Selection
from negset.tables import ROW_GROUP, write_table

PART_ROWS = 8 * ROW_GROUP
"""Rows in a file. Fixed, so that the block size of a run cannot move the borders."""


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


def write_selection(selections: Iterable[Selection], folder: Path) -> int:
    """Write `selections` of consecutive queries below `folder` as data/<table>/part-*.parquet; count negatives."""
    writers = {name: PartWriter(name, folder) for name in ("candidates", "negatives", "fates")}
    negatives = 0
    for selection in selections:
        writers["candidates"].add(selection.candidates)
        writers["negatives"].add(selection.negatives)
        writers["fates"].add(selection.fates)
        negatives += selection.negatives.height
    for writer in writers.values():
        writer.close()
    return negatives
