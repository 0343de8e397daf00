"""Identity of values, files and tables, as hex sha256."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
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

    Defaults are written out, so that a later change of a default changes the identity too. A field marked `neutral`
    came later and does nothing by default: it is left out there, so that older identities stay.
    """
    fields = type(model).model_fields
    hidden = {name for name, field in fields.items() if (field.json_schema_extra or {}) == {"runtime": True}}
    hidden |= {
        name
        for name, field in fields.items()
        if (field.json_schema_extra or {}) == {"neutral": True} and getattr(model, name) == field.default
    }
    kept: dict[str, object] = {}
    for name in fields:
        if name not in hidden:
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
    ordered = frame if _is_ordered(frame, key) else frame.sort(list(key))
    digest = hashlib.sha256()
    for column in sorted(ordered.columns):
        digest.update(column.encode())
        for chunk in _column_bytes(ordered.get_column(column)):
            digest.update(chunk)
    return digest.hexdigest()


def _is_ordered(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    """Tell whether the rows of `frame` stand in the order of `key` already; comparing costs a tenth of sorting.

    False where a null or a word that is coded as a number leaves it open.
    """
    if any(frame.schema[name] not in (pl.String, pl.Int32, pl.Int64) for name in key):
        return False
    after, same = pl.lit(value=False), pl.lit(value=True)
    for name in key:
        after = after | (same & (pl.col(name) > pl.col(name).shift()))
        same = same & (pl.col(name) == pl.col(name).shift())
    return bool(frame.select((after | same).slice(1).fill_null(value=False).all()).item())


def _column_bytes(column: pl.Series) -> Iterator[bytes | memoryview]:
    """Yield the bytes of `column`, a slice at a time: nulls, lengths and values, so that no two columns collide."""
    for start in range(0, max(len(column), 1), _BLOCK):
        part = column.slice(start, _BLOCK)
        yield part.is_null().cast(pl.UInt8).to_numpy().data
        if isinstance(part.dtype, pl.List):
            lengths = part.list.len().fill_null(0)
            yield lengths.cast(pl.Int64).to_numpy().data
            yield from _column_bytes(part.filter(lengths > 0).explode())
        elif isinstance(part.dtype, pl.Struct):
            for name in sorted(field.name for field in part.dtype.fields):
                yield name.encode()
                yield from _column_bytes(part.struct.field(name))
        elif part.dtype in (pl.String, pl.Binary) or _is_coded(part):
            yield from _text_bytes(part)
        else:
            yield _numbers(part).data


def _text_bytes(part: pl.Series) -> Iterator[memoryview]:
    """Yield the lengths, then the bytes, of the strings in `part`; nulls are empty."""
    if _is_coded(part):
        array = part.rechunk().to_arrow().cast(pa.large_string()).fill_null("")
    else:
        filled = part.fill_null(b"" if part.dtype == pl.Binary else "").rechunk()
        array = filled.to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = np.frombuffer(array.buffers()[1] or b"", "<i8")[array.offset :][: len(array) + 1]
    yield np.diff(offsets).data
    yield memoryview(array.buffers()[2] or b"")[offsets[0] : offsets[-1]] if len(array) else memoryview(b"")


def _is_coded(part: pl.Series) -> bool:
    return part.dtype == pl.Categorical or isinstance(part.dtype, pl.Enum)


def _numbers(part: pl.Series) -> NDArray[np.generic]:
    """Give `part` as little-endian 64-bit numbers, nulls as 0; times become microseconds, floats are rounded."""
    if part.dtype.is_temporal():
        part = part.dt.epoch("us")
    if part.dtype.is_float():
        # Adding 0 turns -0.0 into 0.0.
        return part.cast(pl.Float64).round(6).fill_null(0.0).to_numpy().astype("<f8") + 0.0
    whole = pl.UInt64 if part.dtype == pl.UInt64 else pl.Int64
    return part.cast(whole).fill_null(0).to_numpy().astype("<u8")
