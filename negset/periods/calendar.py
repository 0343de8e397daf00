"""Periods of time by name, in UTC: `2024`, `2024-01`, `2024-w05`, `2024-01-31`, `2024-01-31t13`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from negset.errors import ConfigError

_FORMATS: Final = {"yearly": "%Y", "monthly": "%Y-%m", "weekly": "%G-w%V", "daily": "%Y-%m-%d", "hourly": "%Y-%m-%dt%H"}
_READ: Final = {
    "yearly": (r"\d{4}", "%Y"),
    "monthly": (r"\d{4}-\d{2}", "%Y-%m"),
    "weekly": (r"\d{4}-w\d{2}", "%G-w%V-%u"),
    "daily": (r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d"),
    "hourly": (r"\d{4}-\d{2}-\d{2}t\d{2}", "%Y-%m-%dt%H"),
}
MOST: Final = 100_000
"""Partitions of a dataset: 11 years of hours."""


@dataclass(frozen=True)
class Period:
    """A period of time from `start` up to, and without, `end`."""

    key: str
    start: datetime
    end: datetime


def period_at(kind: str, moment: datetime) -> Period:
    """Give the period of `kind` that `moment` lies in."""
    moment = moment.astimezone(UTC)
    start = moment.replace(minute=0, second=0, microsecond=0)
    if kind != "hourly":
        start = start.replace(hour=0)
    if kind == "weekly":
        start -= timedelta(days=start.weekday())
    if kind in ("monthly", "yearly"):
        start = start.replace(day=1, month=1 if kind == "yearly" else start.month)
    return Period(start.strftime(_FORMATS[kind]), start, _next(kind, start))


def read_period(text: str, option: str) -> Period:
    """Read a period of any kind; `option` says who asked, for the ConfigError that names what is wrong."""
    lowered = text.strip().lower()
    for kind, (pattern, form) in _READ.items():
        if re.fullmatch(pattern, lowered):
            try:
                start = datetime.strptime(f"{lowered}-1" if kind == "weekly" else lowered, form).replace(tzinfo=UTC)
                return period_at(kind, start)
            except (ValueError, OverflowError):
                break
    message = f"{option} = {text!r} is no period: write 2024, 2024-01, 2024-w05, 2024-01-31 or 2024-01-31t13 (UTC)"
    raise ConfigError(message)


def periods(kind: str, start: datetime, end: datetime) -> list[Period]:
    """List the periods of `kind` from that of `start`, oldest first, that are over at `end`.

    Raises ConfigError for more than 100,000.
    """
    found: list[Period] = []
    for period in _from(period_at(kind, start), kind):
        if period.end > end:
            return found
        found.append(period)
        if len(found) > MOST:
            message = f"from {found[0].key} on there are more than {MOST:,} {kind} partitions; take longer ones"
            raise ConfigError(message)
    return found


def _from(period: Period, kind: str) -> Iterator[Period]:
    while True:
        yield period
        period = period_at(kind, period.end)


def _next(kind: str, start: datetime) -> datetime:
    if kind == "yearly":
        return start.replace(year=start.year + 1)
    if kind == "monthly":
        return (start + timedelta(days=32)).replace(day=1)
    return start + {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(weeks=1)}[kind]
