"""How the corpus of a snapshot is cut into partitions. The cut changes work and memory, never a row of a set."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from negset.errors import InputError, hint, listed
from negset.fingerprint import canonical_json
from schemas.config import SourceConfig

MOST: Final = 9999
"""Partitions of a snapshot: each is a file, and a column of every miner's matrix."""
UNDATED: Final = "undated"
NO_VALUE: Final = "none"
"""Partitions of the documents without a date, and of those without a value."""
_BY_COLUMN: Final = "column:"
_PERIODS: Final = {"year": "%Y", "month": "%Y-%m", "week": "%G-w%V", "day": "%Y-%m-%d", "hour": "%Y-%m-%dt%H"}


class Partitioning(BaseModel):
    """What cuts a corpus; `buckets` counts those of a cut by hash, `every` is the period of a cut by date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    buckets: int | None = None
    every: str | None = None


class PartitionFacts(BaseModel):
    """What is known of a partition without opening it; `label` is what its documents share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    documents: int
    undated: int
    """Documents without a date of creation."""
    first_created: datetime | None
    last_created: datetime | None


@dataclass(frozen=True)
class Partition:
    """A part of the corpus; `name` is safe as the name of a file, whatever its label."""

    name: str
    facts: PartitionFacts
    documents: pl.DataFrame


def partitioning(source: SourceConfig) -> Partitioning:
    """Give how `source` wants its corpus cut, without the options that play no part in it."""
    if source.partition_by == "hash":
        return Partitioning(by="hash", buckets=source.partitions)
    every = source.partition_every if source.partition_by == "created_at" else None
    return Partitioning(by=source.partition_by, every=every)


def cut_corpus(corpus: pl.DataFrame, how: Partitioning) -> list[Partition]:
    """Cut `corpus` into partitions, sorted by name. Buckets of a hash are there even if empty, others never are.

    Raises InputError for a column that no document has, and for more than 9,999 partitions.
    """
    labels = _labels(corpus, how)
    parts = corpus.with_columns(labels.alias("_label")).partition_by("_label", as_dict=True, include_key=False)
    known: list[str | None] = [key if key is None else str(key) for (key,) in parts]
    wanted = [bucket_label(number, how.buckets) for number in range(how.buckets)] if how.buckets else known
    if len(wanted) > MOST:
        message = (
            f"source.partition_by {how.by!r}{f' every {how.every}' if how.every else ''} cuts the corpus into "
            f"{len(wanted)} partitions; at most {MOST} are possible. Take a longer period or another column"
        )
        raise InputError(message)
    found = [_partition(label, parts.get((label,), corpus.clear()), how) for label in wanted]
    return sorted(found, key=lambda part: part.name)


def bucket_label(bucket: int, buckets: int) -> str:
    """Name one of the `buckets` of a hash."""
    return f"b{bucket:04d}of{buckets:04d}"


def bucket_labels(doc_ids: pl.Series, buckets: int) -> pl.Series:
    """Name the bucket of each document: that of its id's hash."""
    numbers = (int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest(), "big") for each in doc_ids)
    return pl.Series([bucket_label(number % buckets, buckets) for number in numbers], dtype=pl.String)


def _labels(corpus: pl.DataFrame, how: Partitioning) -> pl.Series:
    """Say what each document shares with the others of its partition; null where it has no date or value."""
    if how.buckets:
        return bucket_labels(corpus.get_column("doc_id"), how.buckets)
    if how.every:
        return corpus.get_column("created_at").dt.strftime(_PERIODS[how.every])
    return _values(corpus, how.by.removeprefix(_BY_COLUMN))


def _values(corpus: pl.DataFrame, column: str) -> pl.Series:
    """Read `column` out of the metadata of each document, as text."""
    rows = [json.loads(text) if text else {} for text in corpus.get_column("metadata")]
    if not any(column in row for row in rows):
        known = sorted({name for row in rows for name in row})
        message = (
            f"source.partition_by names the column {column!r}, which no document has{hint(column, known)}; "
            f"there are: {listed(known, 12) or 'none'}"
        )
        raise InputError(message)
    values = (row.get(column) for row in rows)
    return pl.Series([each if each is None else _text_of(each) for each in values], dtype=pl.String)


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _partition(label: str | None, documents: pl.DataFrame, how: Partitioning) -> Partition:
    created = documents.get_column("created_at")
    facts = PartitionFacts(
        label=_missing(how) if label is None else label,
        documents=documents.height,
        undated=created.null_count(),
        first_created=created.min(),
        last_created=created.max(),
    )
    return Partition(_name(label, how), facts, documents)


def _name(label: str | None, how: Partitioning) -> str:
    """Name a partition so that the name is safe in a path: periods and buckets are, a value gets its hash."""
    if label is None:
        return _missing(how)
    if how.buckets:
        return label
    if how.every:
        return f"d{label}"
    plain = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:32]
    return f"c-{plain}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def _missing(how: Partitioning) -> str:
    return UNDATED if how.every else NO_VALUE
