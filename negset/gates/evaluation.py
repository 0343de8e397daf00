"""Texts that a model will be evaluated on: the set's own held-out queries, and files that a build names."""

import io
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

import fsspec
import polars as pl

from negset.errors import InputError, TransientError
from negset.fingerprint import fingerprint
from negset.mining.selection_inputs import HELD_OUT

SCHEMA: Final = {"file": pl.String, "id": pl.String, "text": pl.String}
"""`file` is the file's name, or `split NAME`; `id` is null where a file gives none."""
_TEXTS: Final = ("text", "query", "question", "sentence")
_IDS: Final = ("id", "_id", "query_id", "doc_id")


def read_evaluation(paths: Sequence[str]) -> pl.DataFrame:
    """Read the texts of the files at `paths`, local or any URL that fsspec knows, as SCHEMA says.

    .txt has a text a line; .jsonl and .parquet have a column text, query, question or sentence, and perhaps an id.
    Raises InputError naming the file and what it lacks, TransientError where a file cannot be fetched.
    """
    parts = [_read(path) for path in paths]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


def evaluation_content(paths: Sequence[str]) -> str:
    """Hash the texts and ids of the files at `paths`; empty for no file. Names and places do not count."""
    if not paths:
        return ""
    read = read_evaluation(paths)
    rows = zip(read.get_column("id").to_list(), read.get_column("text").to_list(), strict=True)
    return fingerprint("evaluation", sorted((identity or "", text) for identity, text in rows))


def held_out_queries(queries: pl.DataFrame) -> pl.DataFrame:
    """Give those of `queries` (query_id, text, split) that evaluate a model, as SCHEMA says."""
    held = queries.filter(pl.col("split").is_in(list(HELD_OUT)))
    return held.select(file=pl.lit("split ") + pl.col("split"), id="query_id", text="text")


def all_evaluation(queries: pl.DataFrame, paths: Sequence[str]) -> pl.DataFrame:
    """Give the held-out ones of `queries`, then the texts of the files at `paths`."""
    return pl.concat([held_out_queries(queries), read_evaluation(paths)])


def _read(path: str) -> pl.DataFrame:
    name = PurePosixPath(path).name
    data = _bytes(path)
    if name.endswith(".txt"):
        lines = [line.strip() for line in _decoded(data, path).split("\n")]
        rows = pl.DataFrame({"text": [line for line in lines if line]}, schema={"text": pl.String})
    elif name.endswith(".jsonl"):
        rows = _json_rows(data, path)
    elif name.endswith(".parquet"):
        rows = _parquet_rows(data, path)
    else:
        message = f"gates.evaluation names {path!r}; it must end in .txt, .jsonl or .parquet"
        raise InputError(message)
    text, key = _column(rows, _TEXTS), _column(rows, _IDS)
    if text is None:
        message = f"{path} has columns {', '.join(rows.columns)}; one of them must be {', '.join(_TEXTS)}"
        raise InputError(message)
    return rows.select(
        file=pl.lit(name),
        id=pl.lit(None, dtype=pl.String) if key is None else pl.col(key).cast(pl.String),
        text=pl.col(text).cast(pl.String),
    ).filter(pl.col("text").fill_null("") != "")


def _column(rows: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in rows.columns), None)


def _bytes(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        message = f"gates.evaluation names {path!r}, which does not exist"
        raise InputError(message) from error
    except OSError as error:
        message = f"cannot read {path!r} of gates.evaluation: {error}"
        raise TransientError(message) from error


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 (byte {error.start})"
        raise InputError(message) from error


def _json_rows(data: bytes, path: str) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for number, line in enumerate(_decoded(data, path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            message = f"{path}, line {number} is not JSON: {error}"
            raise InputError(message) from error
        if not isinstance(row, dict):
            message = f"{path}, line {number} is no JSON object"
            raise InputError(message)
        rows.append(row)
    names = [name for name in (*_TEXTS, *_IDS) if any(name in row for row in rows)]
    return pl.DataFrame(
        {name: [_text(row.get(name)) for row in rows] for name in names}, schema=dict.fromkeys(names, pl.String)
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _parquet_rows(data: bytes, path: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(data), use_pyarrow=True)
    except (OSError, ValueError) as error:
        message = f"{path} is no Parquet file: {error}"
        raise InputError(message) from error
