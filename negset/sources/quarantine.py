"""Rows that cannot be used: kept aside with their place and the reason, and never too many of them."""

import hashlib

import polars as pl

from negset.errors import InputError
from negset.sources.tables import QUARANTINE, Rows
from schemas.config import SourceConfig

EMPTY = "empty document"
"""Reason of a document without title and text. It is set aside, but not held against the source."""

_SHOWN = 5


class BadRow(Exception):  # noqa: N818 - a verdict on a row, caught where rows are read; never leaves the readers
    """A row cannot be used: the column that is wrong ("" for the whole row) and why."""

    def __init__(self, *, reason: str, column: str = "") -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class Quarantine:
    """The bad rows of one source, and the count of all rows met."""

    def __init__(self, source: SourceConfig) -> None:
        self.rows_read = 0
        self._source = source
        self._rows = Rows(QUARANTINE)

    def add(self, file: str, line: int | None, bad: BadRow, raw: bytes) -> None:
        """Set aside the row at `line` of `file`; raise InputError where more are bad than may ever be."""
        digest = hashlib.sha256(raw).hexdigest()
        self._rows.add((file, line, bad.column or None, bad.reason, digest))
        if len(self._rows) > self._source.max_bad_rows:
            check_limit(self.frame(), self.rows_read, self._source)

    def pass_over(self) -> None:
        """Take back the count of a line that proved to be a header."""
        self.rows_read -= 1

    def frame(self) -> pl.DataFrame:
        """Give the bad rows as a table."""
        return self._rows.frame()


def check_limit(quarantine: pl.DataFrame, rows_read: int, source: SourceConfig) -> None:
    """Raise InputError where more rows are bad than `source` allows, naming the first and what to do."""
    bad = quarantine.filter(pl.col("reason") != EMPTY)
    share = bad.height / max(rows_read, 1)
    if bad.height <= source.max_bad_rows and share <= source.max_bad_share:
        return
    shown = "; ".join(_place(row) for row in bad.head(_SHOWN).iter_rows(named=True))
    more = f"; and {bad.height - _SHOWN} more" if bad.height > _SHOWN else ""
    message = (
        f"{bad.height} of {rows_read} rows read cannot be used, the limit is {source.max_bad_share:.4%} or "
        f"{source.max_bad_rows} rows: {shown}{more}. Nothing was built. Mend them, or raise "
        f"source.max_bad_share and source.max_bad_rows to build without them"
    )
    raise InputError(message)


def _place(row: dict[str, object]) -> str:
    line = f":{row['line']}" if row["line"] is not None else ""
    column = f" column {row['column']!r}:" if row["column"] else ""
    return f"{row['file']}{line}:{column} {row['reason']}"
