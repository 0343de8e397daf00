"""Show how far a room is: a bar on a terminal, a progress artifact in Prefect's UI."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Report(Protocol):
    """Show how far a step is; with a `note`, what it has to say beside that."""

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Take note that `done` of `total` units of `step` are done."""


_SECONDS_BETWEEN_ARTIFACTS = 2.0
"""An update is a request to the server; the eye needs no more."""


@contextmanager
def shown_progress(room: str) -> Iterator[Report]:
    """Give a report function whose steps appear under the name of `room` while the block runs."""
    console = Console(stderr=True)
    columns = (
        TextColumn(f"[bold]{room:>9}[/bold]"),
        TextColumn("{task.description:<26}"),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        yield _reporter(room, bars)


def _reporter(room: str, bars: Progress) -> Report:
    rows: dict[str, TaskID] = {}
    artifact: dict[str, UUID] = {}
    told = {"at": time.monotonic()}

    notes: dict[str, str] = {}

    def report(step: str, done: int, total: int, note: str = "") -> None:
        notes[step] = note or notes.get(step, "")
        if step not in rows:
            rows[step] = bars.add_task(step, total=total, note="")
        bars.update(rows[step], completed=done, total=total, note=notes[step])
        late = time.monotonic() - told["at"] > _SECONDS_BETWEEN_ARTIFACTS
        if late and total and TaskRunContext.get() is not None:
            told["at"] = time.monotonic()
            share, said = 100.0 * done / total, f"{room}: {step}{f' ({notes[step]})' if notes[step] else ''}"
            if "id" in artifact:
                update_progress_artifact(artifact["id"], progress=share, description=said)
            else:
                artifact["id"] = UUID(str(create_progress_artifact(progress=share, description=said)))

    return report
