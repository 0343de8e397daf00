"""Parquet tables with named columns: `corpus.parquet`, `queries.parquet`, `qrels.parquet`, or folders of parts."""

from collections.abc import Iterator
from functools import partial

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.errors import InputError
from negset.sources.files import Place, digests, find_place, open_bytes, pick
from negset.sources.html_text import one_line
from negset.sources.intake import Add, Intake, check_columns, take_frame, take_tables
from negset.sources.tables import PACKED, SourceTables
from schemas.config import SourceConfig

_FAULTS = (pa.ArrowException, OSError, UnicodeDecodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What a damaged file makes the libraries raise; a panic is no Exception, and would pass every other net."""


def read(source: SourceConfig) -> SourceTables:
    """Read the three tables by the column names of `source`; other columns become metadata."""
    place = find_place(source.path)
    return take_tables(source, _files(place, source), partial(take_parquet, place))


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def take_parquet(place: Place, name: str, intake: Intake, add: Add, needed: tuple[str, ...]) -> None:
    """Hand each row of the Parquet file `name` to `add`, after checking that it has the `needed` columns."""
    first = 1
    for frame in parquet_frames(place, name, needed):
        take_frame(frame, name, first, intake, add)
        first += frame.height


def parquet_frames(place: Place, name: str, needed: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """Yield a Parquet file a block of rows at a time.

    Raises InputError naming the file where it is damaged or lacks one of the `needed` columns.
    """
    shown = f"{place.shown}/{name}"
    with open_bytes(place, name) as stream:
        try:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            check_columns(shown, needed, file.schema_arrow.names)
            for batch in file.iter_batches(PACKED):
                batch.validate(full=True)  # a broken string would be undefined behaviour further on
                yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
        except _FAULTS as error:
            message = f"{shown} is no readable Parquet file: {one_line(str(error))}"
            raise InputError(message) from error


def parquet_columns(place: Place, name: str) -> list[str]:
    """Name the columns of the Parquet file `name`; raise InputError where it is damaged."""
    with open_bytes(place, name) as stream:
        try:
            return [str(column) for column in pq.read_schema(stream).names]
        except _FAULTS as error:
            message = f"{place.shown}/{name} is no readable Parquet file: {one_line(str(error))}"
            raise InputError(message) from error


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str], list[str]]:
    return (
        pick(place, source.corpus, ("corpus.parquet", "corpus/*.parquet"), "corpus"),
        pick(place, source.queries, ("queries.parquet", "queries/*.parquet"), "queries"),
        pick(place, source.qrels, ("qrels.parquet", "qrels/*.parquet"), "qrels"),
    )
