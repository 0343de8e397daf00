"""Which partitions a dataset has, what carries them, and the rows of one of them."""

from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from schemas.section import Section

PartitionKind = Literal["none", "hourly", "daily", "weekly", "monthly", "yearly", "release", "list"]
NAMED: Final = ("release", "list")
"""Kinds whose partitions have names; those of the others are periods of time."""
RESERVED: Final = ("latest", "history.jsonl", "versions", "staging")
"""What lies beside the partitions in the folder of a set."""
CARRIER: Final = r"^((corpus|queries|qrels)\..+)?$"

PartitionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


def _exact_moment(value: object) -> object:
    """Write a date or time as one ISO time in UTC; a bare date is its first moment, an empty text stays empty."""
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        zoned = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return zoned.isoformat(timespec="microseconds")
    return value


ExactMoment = Annotated[str, BeforeValidator(_exact_moment)]


class SliceConfig(Section):
    """Rows of one partition: those of a table whose `column` says so. Without a column, all rows."""

    column: str = Field("", pattern=CARRIER)
    """Table and column, such as `queries.asked_at`: one of `source.columns` by its name there, or any other."""
    equals: str = ""
    """The value wanted, for partitions with names."""
    start: ExactMoment = ""
    """The first moment wanted, for periods of time."""
    end: ExactMoment = ""
    """The moment after the last one wanted."""


class PartitionsConfig(Section):
    """Which partitions a dataset has. Each is a line of versions of its own, `<name>/<partition>`.

    A partition is carried by `{partition}` in a path of the source, by a column, by `as_of`, or by several of these.
    """

    kind: PartitionKind = "none"
    """Periods of time in UTC, or names: `release` in order, of which the last is the newest, or a plain `list`."""
    names: tuple[PartitionName, ...] = ()
    """The partitions of `release` and `list`."""
    start: str = ""
    """The first period, such as `2023`, `2023-01`, `2023-w05`, `2023-01-31` or `2023-01-31t13`."""
    end: str = ""
    """The last period; empty for the last that is over. One that is not over yet is not expected yet."""
    column: str = Field("", pattern=CARRIER)
    """Table and column that say of each row to which partition it belongs, such as `queries.asked_at`.

    Of the queries: those of the partition with all of their judgements. Of the qrels: the queries that were judged in
    it, with all of their judgements. Of the corpus: its documents and the judgements of these. The other tables are
    whole.
    """
    as_of: bool = False
    """Whether a partition knows only what was known at its end (`source.as_of`), so that what is newer changes none
    that is older."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "none":
            if self.names or self.start or self.end or self.column or self.as_of:
                message = "partitions need a kind: hourly, daily, weekly, monthly, yearly, release or list"
                raise ValueError(message)
            return self
        if self.kind in NAMED:
            self._check_names()
        elif not self.start or self.names:
            message = f"partitions of kind {self.kind!r} need start, the first period, and have no names"
            raise ValueError(message)
        return self

    def _check_names(self) -> None:
        if not self.names or self.start or self.end:
            message = f"partitions of kind {self.kind!r} need names, and have neither start nor end"
            raise ValueError(message)
        if self.as_of:
            message = f"as_of needs periods of time; a partition of kind {self.kind!r} has no end"
            raise ValueError(message)
        folded = [name.casefold() for name in self.names]
        taken = sorted({name for name in folded if folded.count(name) > 1 or name in RESERVED})
        if taken:
            message = f"names of partitions are twice there (upper case counts as lower) or reserved: {taken}"
            raise ValueError(message)
