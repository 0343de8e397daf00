"""Vectors of the encoder that mines, by row of the snapshot, for teachers that compare documents with documents."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from negset.arrays import Matrix, Rows
from negset.errors import ConfigError
from negset.teaching.teacher import TeachingInputs
from schemas.config import MineConfig

if TYPE_CHECKING:
    from negset.vectors import Vectors

BLOCK: Final = 1 << 13
"""Rows whose vectors are read at once: 12 MB at 384 dimensions."""


def document_rows(inputs: TeachingInputs, teacher: str, rows: Rows) -> Matrix:
    """Give the vectors of the documents `rows`; raise ConfigError naming the `teacher` where nothing was embedded."""
    vectors = _there(inputs.mining.document_vectors, teacher)
    vectors_ND = np.empty((len(rows), vectors.dimensions), dtype=np.float32)
    for part in blocks(len(rows)):
        vectors_ND[part] = vectors.gather(inputs.document_texts(rows[part]))
    return vectors_ND


def query_rows(inputs: TeachingInputs, teacher: str, rows: Rows) -> Matrix:
    """Give the vectors of the queries `rows`; raise ConfigError naming the `teacher` where nothing was embedded."""
    return _there(inputs.mining.query_vectors, teacher).gather(inputs.query_texts(rows))


def blocks(count: int) -> Iterator[slice]:
    """Cut `count` rows into slices of `BLOCK`."""
    for start in range(0, count, BLOCK):
        yield slice(start, start + BLOCK)


def require_vectors(teacher: str, mine: MineConfig) -> None:
    """Raise ConfigError naming the `teacher` where no configured miner has vectors made."""
    if "dense" not in mine.miners:
        raise _lacking(teacher)


def _there(vectors: "Vectors | None", teacher: str) -> "Vectors":
    if vectors is None:
        raise _lacking(teacher)
    return vectors


def _lacking(teacher: str) -> ConfigError:
    return ConfigError(f"teacher {teacher!r} compares vectors of the encoder: add 'dense' to mine.miners")
