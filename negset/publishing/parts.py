"""The files of a table: `data/<table>/part-00000.parquet` and so on, sorted by key over all of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from negset.tables import Told, read_table, told_nobody, write_table
from schemas.frames import KEYS

PART_ROWS = 1_000_000
"""Rows in a file before the next one is begun."""


def part_path(folder: Path, number: int) -> Path:
    """Give the place of the part with this `number`."""
    return folder / f"part-{number:05d}.parquet"


def part_files(folder: Path, table: str) -> list[Path]:
    """List the files of `table` in `folder`, in order: parts below data/, or a single file of its name."""
    single = folder / f"{table}.parquet"
    return [single] if single.is_file() else sorted((folder / "data" / table).rglob("part-*.parquet"))


def read_parts(folder: Path, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read all files of `table` in `folder`, words as strings."""
    return pl.concat([as_strings(read_table(part, columns)) for part in part_files(folder, table)])


def scan_parts(folder: Path, table: str) -> pl.LazyFrame:
    """Scan all files of `table` in `folder`, words as categories: a cast of millions costs more than the scan."""
    return pl.scan_parquet(part_files(folder, table))


def whole_queries(folder: Path, table: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of `table` a row group at a time, a query that lies in two with the later one."""
    rest: pl.DataFrame | None = None
    for part in _row_groups(part_files(folder, table)):
        rows = part if rest is None else pl.concat([rest, part])
        last = rows.get_column("query_id").tail(1)
        rest = rows.filter(pl.col("query_id") == last.item()) if rows.height else rows
        yield rows.head(rows.height - rest.height)
    if rest is not None:
        yield rest


def _row_groups(files: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """Yield the row groups of `files`, and an empty frame for a file without any."""
    for path in files:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                yield as_strings(pl.DataFrame(file.read_row_group(number)))
            if not file.num_row_groups:
                yield as_strings(read_table(path))


def write_parts(frame: pl.DataFrame, table: str, folder: Path, told: Told = told_nobody) -> None:
    """Write `frame` as `table` in files of about PART_ROWS rows below `folder`/data."""
    place = folder / "data" / table
    place.mkdir(parents=True)
    for number, part in enumerate(cut(frame.sort(KEYS[table]), KEYS[table][0], PART_ROWS)):
        write_table(part, table, part_path(place, number), told=told)


def cut(frame: pl.DataFrame, key: str, rows: int) -> Iterator[pl.DataFrame]:
    """Yield slices of `frame`, sorted by `key`, of at least `rows` rows, never dividing rows of equal `key`.

    An empty frame is yielded whole, so that a table has a file in any case.
    """
    column, start = frame.get_column(key), 0
    while start < frame.height or start == 0:
        end = min(start + rows, frame.height)
        if end < frame.height:
            end = int(column.search_sorted(column[end - 1], side="right"))
        yield frame.slice(start, end - start)
        start = max(end, 1)


def as_strings(frame: pl.DataFrame) -> pl.DataFrame:
    """Give `frame` with its dictionary columns as strings."""
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
