"""What became of each attempt to build a partition: a few lines that stay beside its versions.

<root>/<name>/<partition>/attempts.jsonl    an entry for each attempt, the last one open while it runs
<root>/<name>/<partition>/.building         locked while it runs; the kernel frees it however the builder dies
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from negset.errors import ArtifactError, NoDataError
from negset.store import locked, make_folder, write_durably
from schemas.manifest import Record

ATTEMPTS: Final = "attempts.jsonl"
BUILDING: Final = ".building"
KEPT: Final = 50
"""Attempts that are remembered of a partition."""
_LONGEST: Final = 2000
"""Characters of a reason that are kept."""

Outcome = Literal["started", "published", "failed", "no data"]


class Attempt(Record):
    """One attempt: when, with what input, and how it ended; `started` for one that is running, or died."""

    n: int
    started_at: str
    ended_at: str | None = None
    outcome: Outcome = "started"
    version: str | None = None
    error: str = ""
    """Kind of the error that ended it."""
    why: str = ""
    source: str = ""
    """Fingerprint of the source when it began; empty where that could not be told."""
    beside: str = ""
    """Digest of the other files that count but are in no manifest."""
    backfill: str = ""


class Recorder:
    """The open record of the attempt that holds the partition."""

    def __init__(self, home: Path, attempt: Attempt) -> None:
        self._home = home
        self.attempt = attempt

    def published(self, version: str) -> None:
        """Close the record: `version` is published."""
        self._close("published", version=version)

    def failed(self, error: BaseException) -> None:
        """Close the record with the reason; without data where that is what `error` says."""
        outcome: Outcome = "no data" if isinstance(error, NoDataError) else "failed"
        self._close(outcome, error=type(error).__name__, why=(str(error) or repr(error))[:_LONGEST])

    def _close(self, outcome: Outcome, **changes: str) -> None:
        ended = {"outcome": outcome, "ended_at": _now(), **changes}
        self.attempt = self.attempt.model_copy(update=ended)
        _write(self._home, [*read_attempts(self._home)[:-1], self.attempt])


@contextmanager
def building(home: Path) -> Iterator[None]:
    """Hold the partition whose folder is `home` while the block runs; wait for whoever holds it."""
    make_folder(home)
    with locked(home / BUILDING):
        yield


def begin_attempt(home: Path, *, source: str = "", beside: str = "", backfill: str = "") -> Recorder:
    """Open the record of an attempt in `home`, which the caller holds."""
    before = read_attempts(home)
    number = before[-1].n + 1 if before else 1
    attempt = Attempt(n=number, started_at=_now(), source=source, beside=beside, backfill=backfill)
    _write(home, [*before, attempt][-KEPT:])
    return Recorder(home, attempt)


def is_building(home: Path) -> bool:
    """Say whether somebody holds the partition in `home` now."""
    try:
        with (home / BUILDING).open("r") as file:
            # A shared lock: two that look do not take each other for a builder.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_attempts(home: Path) -> list[Attempt]:
    """Read the attempts in `home`, oldest first; none where there was none."""
    path = home / ATTEMPTS
    try:
        return [Attempt.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        message = f"{path} is damaged: {error}. Remove it: it says only what became of attempts"
        raise ArtifactError(message) from error


def _write(home: Path, attempts: list[Attempt]) -> None:
    lines = "".join(f"{attempt.model_dump_json()}\n" for attempt in attempts)
    write_durably(home / ATTEMPTS, lines.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
