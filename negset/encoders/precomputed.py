"""Vectors that somebody else made, looked up by id.

Either a Parquet file with an id column and a column of lists, or an .npy file of shape (n, d) with a Parquet
file of the same name beside it whose id column names its rows. Texts with several ids take the vector of the
first id; the others' vectors are not used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, FittingCorpus, Role
from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError, InputError, listed
from negset.fingerprint import file_digest
from negset.progress import Progress
from schemas.encoder import EncoderConfig

VERSION = 1


@dataclass(frozen=True)
class VectorFile:
    """Vectors of one role, (n, d), and the row of each id."""

    path: Path
    rows: dict[str, int]
    vectors: NDArray[np.floating]


@dataclass(frozen=True)
class PrecomputedEncoder:
    """Look vectors up by id."""

    fingerprint: str
    files: dict[Role, VectorFile]

    @property
    def dimensions(self) -> int:
        """Give the width that both files have."""
        return int(self.files["query"].vectors.shape[1])

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of `ids`; raise InputError naming those that the file of `role` lacks."""
        file = self.files[role]
        missing = sorted(name for name in ids if name not in file.rows)
        if missing:
            message = f"{file.path} has no vector for {len(missing)} of {len(ids)} ids: {listed(missing)}"
            raise InputError(message)
        rows = np.array([file.rows[name] for name in ids], dtype=np.int64)
        return normalise_rows(file.vectors[rows])


def identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    """Name what the vectors depend on: the bytes of the files, not their places."""
    files = {role: [_digest(path) for path in vector_paths(config, role)] for role in get_args(Role)}
    return {"version": VERSION, "files": files}


def prepare(config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
    """Check that both files can be read and agree; give the number of their vectors."""
    return sum(len(file.rows) for file in read_files(config).values())


def open_folder(config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
    """Read the files that `config` names."""
    return PrecomputedEncoder(fingerprint=fingerprint, files=read_files(config))


def vector_paths(config: EncoderConfig, role: Role) -> list[Path]:
    """Give the files that hold the vectors of `role`: one Parquet, or an .npy and the Parquet of its ids."""
    name = config.query_vectors if role == "query" else config.document_vectors
    if not name:
        message = f"encoder.{role}_vectors is empty: the precomputed encoder needs a Parquet or .npy file there"
        raise ConfigError(message)
    path = Path(name)
    if path.suffix not in (".parquet", ".npy"):
        message = f"encoder.{role}_vectors is {name!r}: neither .parquet nor .npy"
        raise ConfigError(message)
    return [path] if path.suffix == ".parquet" else [path, path.with_suffix(".parquet")]


def read_files(config: EncoderConfig) -> dict[Role, VectorFile]:
    """Read the vectors of both roles; raise InputError where their dimensions differ."""
    files = {role: read_vectors(vector_paths(config, role), role) for role in get_args(Role)}
    query, document = (files[role].vectors.shape[1] for role in ("query", "document"))
    if query != document:
        message = (
            f"{files['query'].path} has vectors of {query} dimensions and {files['document'].path} of {document}: "
            "both must come from one encoder"
        )
        raise InputError(message)
    return files


def read_vectors(paths: Sequence[Path], role: Role) -> VectorFile:
    """Read the vectors at `paths`, as `vector_paths` gives them; .npy stays on disk, mapped into memory."""
    try:
        frame = pl.read_parquet(paths[-1])
        vectors_ND = _read_npy(paths[0]) if len(paths) == 2 else _vector_column(frame, paths[0])
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"cannot read vectors from {paths[0]}: {error}"
        raise InputError(message) from error
    names = _id_column(frame, role, paths[-1])
    if len(names) != len(vectors_ND):
        message = f"{paths[0]} has {len(vectors_ND)} vectors but {paths[-1]} names {len(names)} ids"
        raise InputError(message)
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) != len(names):
        repeated = pl.Series(names).to_frame("id").filter(pl.col("id").is_duplicated())["id"].unique().sort().to_list()
        message = f"{paths[-1]} repeats ids: {listed(repeated)}"
        raise InputError(message)
    return VectorFile(path=paths[0], rows=rows, vectors=vectors_ND)


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise InputError(message) from error


def _read_npy(path: Path) -> NDArray[np.floating]:
    vectors_ND: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    if vectors_ND.ndim != 2 or not np.issubdtype(vectors_ND.dtype, np.floating):
        message = f"{path} holds {vectors_ND.dtype} of shape {vectors_ND.shape}, not floats of shape (n, d)"
        raise InputError(message)
    return vectors_ND


def _vector_column(frame: pl.DataFrame, path: Path) -> NDArray[np.floating]:
    names = [name for name, kind in frame.schema.items() if isinstance(kind, (pl.List, pl.Array))]
    if len(names) != 1:
        message = f"{path} must have one column of lists, found {names or 'none'} in {frame.columns}"
        raise InputError(message)
    column = frame.get_column(names[0])
    flat = column.explode().cast(pl.Float32)
    widths = (column if isinstance(column.dtype, pl.List) else column.arr.to_list()).list.len().unique().to_list()
    if len(widths) != 1 or not widths[0] or flat.null_count():
        message = (
            f"column {names[0]!r} of {path} has nulls or vectors of different lengths: {listed(list(map(str, widths)))}"
        )
        raise InputError(message)
    vectors_ND: NDArray[np.floating] = flat.to_numpy().reshape(len(column), int(widths[0]))
    return vectors_ND


def _id_column(frame: pl.DataFrame, role: Role, path: Path) -> list[str]:
    wanted = ("id", "query_id" if role == "query" else "doc_id")
    found = [name for name in wanted if name in frame.columns]
    if not found:
        message = f"{path} has no id column: none of {wanted} in {frame.columns}"
        raise InputError(message)
    return frame.get_column(found[-1]).cast(pl.String).to_list()
