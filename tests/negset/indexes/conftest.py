"""Clustered unit vectors, and the queries and documents that they belong to."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from negset.mining.miner import Documents, Queries
from negset.mining.times import FIRST, LAST


def clustered(rows: int, dimensions: int = 24, seed: int = 0, centres: int = 30) -> np.ndarray:
    """Give unit vectors around the same random centres whatever the `seed` of the noise."""
    centre = np.random.default_rng(99).standard_normal((centres, dimensions))
    chance = np.random.default_rng(seed)
    vectors = centre[chance.integers(0, centres, rows)] + 0.6 * chance.standard_normal((rows, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def asking(number: int, depth: int = 20, until: int = LAST) -> Queries:
    """Give `number` queries of one depth."""
    names = pl.Series([f"q{n:04d}" for n in range(number)], dtype=pl.String)
    return Queries(np.arange(number), names, names, np.full(number, depth), np.full(number, until, dtype=np.int64))


def searched(number: int, created: int = FIRST) -> Documents:
    """Give `number` documents."""
    names = pl.Series([f"d{n:05d}" for n in range(number)], dtype=pl.String)
    return Documents(names, names, np.arange(number), np.full(number, created, dtype=np.int64))


@pytest.fixture(scope="session")
def vectors() -> Callable[..., np.ndarray]:
    """Give `clustered`."""
    return clustered


@pytest.fixture(scope="session")
def queries_of() -> Callable[..., Queries]:
    """Give `asking`."""
    return asking


@pytest.fixture(scope="session")
def documents_of() -> Callable[..., Documents]:
    """Give `searched`."""
    return searched
