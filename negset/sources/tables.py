"""What a reader gives: three tables in one shape, whatever the format, and the rows that it refused.

Every row keeps the file and the line it was read from, so that a later complaint can name them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import polars as pl

TIME: Final = pl.Datetime("us", "UTC")

Columns = Mapping[str, pl.DataType | type[pl.DataType]]

CORPUS: Final[Columns] = MappingProxyType(
    {
        "doc_id": pl.String,
        "title": pl.String,
        "text": pl.String,
        "created_at": TIME,
        "metadata": pl.String,
        "file": pl.String,
        "line": pl.Int64,
    }
)
QUERIES: Final[Columns] = MappingProxyType(
    {
        "query_id": pl.String,
        "text": pl.String,
        "split": pl.String,
        "asked_at": TIME,
        "metadata": pl.String,
        "file": pl.String,
        "line": pl.Int64,
    }
)
QRELS: Final[Columns] = MappingProxyType(
    {
        "query_id": pl.String,
        "doc_id": pl.String,
        "relevance": pl.Int32,
        "split": pl.String,
        "file": pl.String,
        "line": pl.Int64,
    }
)
QUARANTINE: Final[Columns] = MappingProxyType(
    {"file": pl.String, "line": pl.Int64, "column": pl.String, "reason": pl.String, "sha256": pl.String}
)

PACKED = 65_536
"""Rows that are held as Python values before they are packed into a frame."""


@dataclass(frozen=True)
class SourceTables:
    """Corpus, queries and qrels as a reader met them, in any order, and what it could not use.

    A null split means that the format says none. `rows_read` counts the rows met, kept or not; `notes` counts
    what the format made the reader pass over (posts of other kinds, links that lead out of a dump).
    """

    corpus: pl.DataFrame
    queries: pl.DataFrame
    qrels: pl.DataFrame
    quarantine: pl.DataFrame
    rows_read: int
    notes: Mapping[str, int] = field(default_factory=dict)


class Rows:
    """Rows of one table, packed into frames as they come: Python values of a block at most are in memory."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._waiting: list[tuple[object, ...]] = []
        self._packed: list[pl.DataFrame] = []

    def __len__(self) -> int:
        return len(self._waiting) + sum(part.height for part in self._packed)

    def add(self, row: tuple[object, ...]) -> None:
        """Append one `row`, its values in the order of the columns."""
        self._waiting.append(row)
        if len(self._waiting) >= PACKED:
            self._pack()

    def frame(self) -> pl.DataFrame:
        """Give all rows as one frame."""
        self._pack()
        return pl.concat(self._packed) if self._packed else pl.DataFrame(schema=dict(self._columns))

    def _pack(self) -> None:
        if self._waiting:
            values = zip(*self._waiting, strict=True)
            series = [
                pl.Series(name, list(column), dtype=kind, strict=True)
                for (name, kind), column in zip(self._columns.items(), values, strict=True)
            ]
            self._packed.append(pl.DataFrame(series))
            self._waiting = []
