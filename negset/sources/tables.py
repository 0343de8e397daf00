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
        "version_at": TIME,
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
        "judged_at": TIME,
    }
)
DATES: Final = ("version_at", "judged_at")
"""Last columns of the corpus and the qrels, which few formats know: a row may end before them."""
QUARANTINE: Final[Columns] = MappingProxyType(
    {"file": pl.String, "line": pl.Int64, "column": pl.String, "reason": pl.String, "sha256": pl.String}
)

PACKED = 65_536
"""Rows that are held as Python values before they are packed into a frame."""


@dataclass(frozen=True)
class LeftOut:
    """Rows that are well formed, but not of the time or the licences that were asked for."""

    documents_later: int = 0
    """Rows of documents, or of versions of them, from after `source.as_of`."""
    documents_superseded: int = 0
    """Rows of older versions of the corpus or of a document."""
    documents_undated: int = 0
    """Rows of documents without a date, left out under `source.undated = "drop"`."""
    documents_unlicensed: int = 0
    """Rows of documents whose licence is none of `source.licences`."""
    queries_later: int = 0
    qrels_later: int = 0
    """Judgements from after `source.as_of`."""
    qrels_left_out: int = 0
    """Judgements of a query or document that is left out."""

    @property
    def documents(self) -> int:
        """All rows of documents that are left out."""
        dated = self.documents_later + self.documents_superseded + self.documents_undated
        return dated + self.documents_unlicensed

    @property
    def qrels(self) -> int:
        """All judgements that are left out."""
        return self.qrels_later + self.qrels_left_out


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
    left_out: LeftOut = LeftOut()


class Rows:
    """Rows of one table, packed into frames as they come: Python values of a block at most are in memory."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._missing: tuple[None, ...] = (None,) if list(columns)[-1] in DATES else ()
        self._waiting: list[tuple[object, ...]] = []
        self._packed: list[pl.DataFrame] = []

    def __len__(self) -> int:
        return len(self._waiting) + sum(part.height for part in self._packed)

    def add(self, row: tuple[object, ...]) -> None:
        """Append one `row`, its values in the order of the columns; the last of them may lack if it is a date."""
        self._waiting.append(row if len(row) == len(self._columns) else (*row, *self._missing))
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
