"""Write a selection as the tables of a negative set, with bounded memory."""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.mining.selection import Selection
from negset.tables import ROW_GROUP, Told, open_table, told_nobody, write_group, write_table

PART_ROWS = 8 * ROW_GROUP
"""Rows in a file. Fixed, so that the block size of a run cannot move the borders."""
_AHEAD = 2
"""Row groups of a table that may wait for the thread that writes."""


class PartWriter:
    """Write the rows of one table, given in the order of its key, as files of `PART_ROWS` rows.

    Row groups are written by `worker` while the next rows are made, which tells of each file when it is whole.
    """

    def __init__(self, table: str, folder: Path, worker: Executor, told: Told = told_nobody) -> None:
        self.table = table
        self.folder = folder / "data" / table
        self.folder.mkdir(parents=True)
        self.worker = worker
        self.told = told
        self.groups: list[pa.Table] = []
        self.waiting: list[pl.DataFrame] = []
        self.rows = 0
        self.parts = 0
        self.file: pq.ParquetWriter | None = None
        self.path = self._path()
        self.written = 0
        self.jobs: deque[Future[None]] = deque()

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next rows and write the row groups that they fill."""
        if frame.height or not self.waiting:
            self.waiting.append(frame)
            self.rows += frame.height
        while self.rows >= (count := min(ROW_GROUP, PART_ROWS - self.written)):
            self._write(count)

    def close(self) -> None:
        """Write what is left. A table without rows is one file without rows."""
        if self.rows:
            self._write(self.rows)
        elif self.waiting and not self.parts:
            write_table(self.waiting[0], self.table, self._path(), told=self.told)
        self._end_part()
        while self.jobs:
            self.jobs.popleft().result()

    def _write(self, count: int) -> None:
        rows = pl.concat([frame for frame in self.waiting if frame.height], rechunk=False)
        if self.file is None:
            self.path = self._path()
            self.file = open_table(self.table, self.path)
            self.parts += 1
        self.jobs.append(self.worker.submit(self._add_group, self.file, rows[:count]))
        while len(self.jobs) > _AHEAD:
            self.jobs.popleft().result()
        self.waiting, self.rows, self.written = [rows[count:]], self.rows - count, self.written + count
        if self.written == PART_ROWS:
            self._end_part()

    def _end_part(self) -> None:
        if self.file is not None:
            self.jobs.append(self.worker.submit(self._close_part, self.file, self.path))
        self.file, self.written = None, 0

    def _add_group(self, file: pq.ParquetWriter, rows: pl.DataFrame) -> None:
        group = write_group(file, rows, self.table)
        if self.told is not told_nobody:
            self.groups.append(group)

    def _close_part(self, file: pq.ParquetWriter, path: Path) -> None:
        file.close()
        if self.groups:
            self.told(path, self.table, pl.concat([pl.DataFrame(group) for group in self.groups]))
        self.groups = []

    def _path(self) -> Path:
        return self.folder / f"part-{self.parts:05d}.parquet"


def write_selection(selections: Iterable[Selection], folder: Path, told: Told = told_nobody) -> int:
    """Write `selections` of consecutive queries below `folder` as data/<table>/part-*.parquet; count negatives.

    Who wants to be `told` of each file makes its rows be held until it is whole.
    """
    negatives = 0
    with ThreadPoolExecutor(1) as worker:
        writers = {name: PartWriter(name, folder, worker, told) for name in ("candidates", "negatives", "fates")}
        for selection in selections:
            writers["candidates"].add(selection.candidates)
            writers["negatives"].add(selection.negatives)
            writers["fates"].add(selection.fates)
            negatives += selection.negatives.height
        for writer in writers.values():
            writer.close()
    return negatives
