"""Write and read the registered tables: the one place where Parquet is written."""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.errors import ArtifactError, ContractError, MissingColumnsError
from schemas.frames import KEYS, REGISTERED, SCHEMA_VERSION

ROW_GROUP = 131_072
"""Rows in a row group: about 128k, as readers like it; fixed, so that threads cannot move the borders."""

Told = Callable[[Path, str, pl.DataFrame], None]
"""Is told of a file that was written: its place, its table and its rows, as reading it would give them."""


def told_nobody(_path: Path, _table: str, _rows: pl.DataFrame) -> None:
    """Leave it at writing."""


def write_table(
    frame: pl.DataFrame,
    table: str,
    path: Path,
    *,
    schema: pa.Schema | None = None,
    presorted: bool = False,
    told: Told = told_nobody,
) -> int:
    """Write `frame` as the registered `table` to `path`, sorted by its key; give the number of rows.

    The bytes depend on the rows alone: one order (the key is checked to be unique), one chunk, fixed row
    groups, no wall-clock time. Statistics are kept for keys and numbers only, since those of a text column
    would copy documents into the footer. A `presorted` frame is checked to be in order instead of being sorted.

    Raises MissingColumnsError, or ContractError for a null where none may be or a repeated key.
    """
    target = schema if schema is not None else REGISTERED[table]
    arrow = to_arrow(frame, table, target, presorted=presorted)
    with open_table(table, path, target) as file:
        file.write_table(arrow.cast(file.schema), row_group_size=ROW_GROUP)
    if told is not told_nobody:
        told(path, table, pl.DataFrame(arrow))
    return int(arrow.num_rows)


def open_table(table: str, path: Path, schema: pa.Schema | None = None) -> pq.ParquetWriter:
    """Open `path` for the rows of `table`; `write_group` adds to it what makes the file of `write_table`."""
    target = schema if schema is not None else REGISTERED[table]
    return pq.ParquetWriter(
        path,
        target.with_metadata({"negset.table": table, "negset.schema_version": SCHEMA_VERSION}),
        compression="zstd",
        compression_level=3,
        use_dictionary=[place for field in target for place in _repeating(field)],
        write_statistics=[field.name for field in target if not _holds_text(field.name)],
        write_page_index=True,
        write_page_checksum=True,
        store_schema=True,
    )


def _holds_text(column: str) -> bool:
    return column in {"text", "title", "metadata", "query", "positive"} or column.startswith("negative_")


def _repeating(field: pa.Field) -> list[str]:
    """Give the leaves of `field` that hold few values many times.

    A dictionary of scores, texts, digests or documents costs a third of the time of writing and makes files larger.
    """
    if pa.types.is_list(field.type):
        return [f"{field.name}.list.{place}" for place in _repeating(field.type.value_field)]
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{place}" for inner in field.type for place in _repeating(inner)]
    unlike = pa.types.is_floating(field.type) or pa.types.is_fixed_size_binary(field.type)
    return [] if unlike or field.name == "doc_id" or _holds_text(field.name) else [field.name]


def write_group(file: pq.ParquetWriter, frame: pl.DataFrame, table: str) -> pa.Table:
    """Add `frame`, sorted by the key of the registered `table`, to the open `file` as its next row group; give it.

    A file is the same as if it were written at once where every group but the last has `ROW_GROUP` rows, and
    words are coded alike in all of them (an Enum of all words).
    """
    arrow = to_arrow(frame, table, REGISTERED[table], presorted=True)
    file.write_table(arrow.cast(file.schema))
    return arrow


def to_arrow(frame: pl.DataFrame, table: str, schema: pa.Schema, *, presorted: bool = False) -> pa.Table:
    """Give `frame` in the order of its key and in the types of `schema`, as one chunk, and check both."""
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise MissingColumnsError.from_columns(table, schema.names, frame.columns)
    key = list(KEYS[table])
    ordered = frame.select(schema.names)
    if key and presorted:
        _check_order(ordered, table, key)
    elif key:
        ordered = ordered.sort(key)
        _check_key(ordered, table, key)
    for field in schema:
        if not field.nullable and ordered.get_column(field.name).null_count():
            rows = ordered.get_column(field.name).is_null().arg_true().head(5).to_list()
            message = f"table {table!r} has nulls in {field.name!r}, which may hold none (first rows: {rows})"
            raise ContractError(message)
    return ordered.rechunk().to_arrow().cast(schema).combine_chunks()


def _check_order(frame: pl.DataFrame, table: str, key: Sequence[str]) -> None:
    """Raise ContractError unless each row of `frame` stands after the one before it by `key`."""
    after, same = pl.lit(value=False), pl.lit(value=True)
    for name in key:
        after = after | (same & (pl.col(name) > pl.col(name).shift()))
        same = same & (pl.col(name) == pl.col(name).shift())
    wrong = frame.select(after.slice(1).fill_null(value=False).not_().arg_true()).to_series()
    if len(wrong):
        message = f"table {table!r} is not in the order of its key {tuple(key)} at row {wrong[0] + 1}"
        raise ContractError(message)


def _check_key(frame: pl.DataFrame, table: str, key: Sequence[str]) -> None:
    repeated = frame.select(key).filter(pl.struct(key).is_duplicated())
    if repeated.height:
        message = f"table {table!r} repeats its key {tuple(key)}: {repeated.row(0)} and {repeated.height - 1} more rows"
        raise ContractError(message)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file that negset wrote; page checksums are verified.

    Raises ArtifactError naming `path` where the file is missing, cut or damaged.
    """
    try:
        arrow = pq.read_table(path, columns=columns, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        message = f"cannot read {path}: {error}"
        raise ArtifactError(message) from error
    frame = pl.from_arrow(arrow)
    if not isinstance(frame, pl.DataFrame):
        message = f"{path} holds no table"
        raise ArtifactError(message)
    return frame
