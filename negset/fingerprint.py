"""Identity of values, files and tables, as hex sha256."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
from pydantic import BaseModel

_BLOCK = 1 << 20


def fingerprint(*parts: object) -> str:
    """Hash `parts` (models, mappings, sequences and plain values) by their canonical JSON."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """Write `value` as JSON with sorted keys, no white space and no NaN: one value, one text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return identity(value)
    if isinstance(value, Path):
        return str(value)
    message = f"cannot fingerprint a {type(value).__name__}: {value!r}"
    raise TypeError(message)


def identity(model: BaseModel) -> dict[str, object]:
    """Give the fields of `model` that can change rows: all but those marked `runtime` in their annotation.

    Defaults are written out, so that a later change of a default changes the identity too.
    """
    fields = type(model).model_fields
    runtime = {name for name, field in fields.items() if (field.json_schema_extra or {}) == {"runtime": True}}
    kept: dict[str, object] = {}
    for name in fields:
        if name not in runtime:
            value = getattr(model, name)
            kept[name] = identity(value) if isinstance(value, BaseModel) else value
    return kept


def file_digest(path: Path) -> str:
    """Hash the bytes of the file at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_digest(frame: pl.DataFrame, key: Sequence[str]) -> str:
    """Hash the rows of `frame` in the order of `key`, whatever its order, chunks and library version.

    Floats are rounded to 6 digits, so that the digest survives what the files' bytes do not.
    """
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    ordered = frame.sort(list(key)).with_columns(pl.col(floats).cast(pl.Float64).round(6))
    digest = hashlib.sha256()
    for column in sorted(ordered.columns):
        digest.update(column.encode())
        for chunk in _column_bytes(ordered.get_column(column)):
            digest.update(chunk)
    return digest.hexdigest()


def _column_bytes(column: pl.Series) -> Iterable[bytes]:
    """Yield one byte string for each slice of `column`: lengths and values, so that no two columns collide."""
    for start in range(0, max(len(column), 1), _BLOCK):
        part = column.slice(start, _BLOCK)
        if part.dtype == pl.Categorical or isinstance(part.dtype, pl.Enum):
            part = part.cast(pl.String)
        yield part.is_null().cast(pl.UInt8).to_numpy().tobytes()
        if part.dtype in (pl.String, pl.Binary):
            array = part.to_arrow().cast(pa.large_binary() if part.dtype == pl.Binary else pa.large_string())
            filled = array.fill_null(b"" if part.dtype == pl.Binary else "")
            lengths = pl.from_arrow(pa.compute.binary_length(filled))
            yield lengths.to_numpy().astype("<i8").tobytes()
            yield b"".join(filled.cast(pa.large_binary()).to_pylist())
        else:
            yield canonical_json(part.to_list() if part.dtype.is_nested() else _numbers(part)).encode()


def _numbers(part: pl.Series) -> list[object]:
    """Give `part` as integers, floats or booleans; times become microseconds."""
    return (part.dt.epoch("us") if part.dtype.is_temporal() else part).to_list()
