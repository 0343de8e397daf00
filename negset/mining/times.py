"""When documents were created and what each query may know, as microseconds since 1970 in UTC.

A document is a candidate of a query where `created <= until`. That one comparison carries every policy: a time
that is not limited is `LAST`, a document that was always known is `FIRST`, and one that no limited query may see
is `LAST` as well, which only a query without a limit reaches.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Rows
from negset.partitions import PartitionFacts
from schemas.config import TimeConfig

FIRST: Final = np.iinfo(np.int64).min
LAST: Final = np.iinfo(np.int64).max
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_TIME: Final = 10_000 * 366 * 86_400
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def last_moments(asked_at: pl.Series, time: TimeConfig) -> Rows:
    """Give the last moment of creation that each query may know: `asked_at` plus the grace; `LAST` for no limit."""
    if not time.limit:
        return np.full(len(asked_at), LAST, dtype=np.int64)
    return (asked_at.dt.epoch("us") + grace_of(time)).fill_null(LAST).to_numpy().astype(np.int64)


def grace_of(time: TimeConfig) -> int:
    """Give the grace in microseconds."""
    return length_of(time.grace)


def length_of(span: str) -> int:
    """Give the microseconds of a `span` such as `30d`; more than 10,000 years count as so many, which is all time."""
    return min(int(span[:-1]) * _SECONDS[span[-1]], _ALL_TIME) * 1_000_000


def moments_of_creation(created_at: pl.Series, time: TimeConfig) -> Rows:
    """Give the moment of each document's creation; `FIRST` for all where `time` limits nothing."""
    if not time.limit:
        return np.full(len(created_at), FIRST, dtype=np.int64)
    undated = FIRST if time.undated == "keep" else LAST
    return created_at.dt.epoch("us").fill_null(undated).to_numpy().astype(np.int64)


def first_moment(partition: PartitionFacts, time: TimeConfig) -> int:
    """Give the earliest moment of creation of the documents of `partition`; `LAST` where it has none."""
    if not time.limit or (partition.undated and time.undated == "keep"):
        return FIRST
    first = partition.first_created
    return LAST if first is None else (first - _EPOCH) // timedelta(microseconds=1)
