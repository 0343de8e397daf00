"""rounds.json, the table of all rounds, and the same as lines for a terminal."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np

from negset.errors import ArtifactError
from negset.probing.bootstrap import Values
from negset.rounds.figures import Figures, RoundFigures, StartFigures
from negset.store import write_durably

REPORT: Final = "rounds.json"
VALUES: Final = "values.npz"
"""nDCG@10 of each query, by which rounds were compared."""

Status = Literal["going on", "finished", "stopped"]


class RoundsReport(Figures):
    """All rounds of a loop. No time and no place is in it: a loop that was killed and went on writes the same."""

    loop: str
    dataset: str
    strategy: str
    status: Status
    """`stopped` where a round made things worse beyond noise."""
    validation_queries: int
    held_out_queries: int
    depth: int
    best: int
    """Round whose model is kept, 0 for the start."""
    model: str
    """Folder of that model, below this file's."""
    start: StartFigures
    rounds: tuple[RoundFigures, ...]


def write_rounds(report: RoundsReport, folder: Path) -> None:
    """Write rounds.json into `folder`, old or new and never half."""
    plain = report.model_dump(mode="json")
    write_durably(folder / REPORT, f"{json.dumps(plain, indent=2, allow_nan=False)}\n".encode())


def read_rounds(folder: Path) -> RoundsReport:
    """Read rounds.json in `folder`; raise ArtifactError where there is none."""
    path = folder / REPORT
    try:
        return RoundsReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}"
        raise ArtifactError(message) from error


def write_values(values: Sequence[Mapping[str, Values]], folder: Path) -> None:
    """Write nDCG@10 of each query of each role, for the start and each round, into `folder`."""
    buffer = io.BytesIO()
    named = {f"{number}:{role}": found for number, roles in enumerate(values) for role, found in roles.items()}
    np.savez(buffer, **named)  # type: ignore[arg-type] # mypy takes any name for `allow_pickle`
    write_durably(folder / VALUES, buffer.getvalue())


def read_values(folder: Path) -> list[dict[str, Values]]:
    """Read what `write_values` wrote; raise ArtifactError where there is none."""
    path, found = folder / VALUES, dict[int, dict[str, Values]]()
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                number, _, role = name.partition(":")
                found.setdefault(int(number), {})[role] = stored[name]
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}"
        raise ArtifactError(message) from error
    return [found[number] for number in sorted(found)]


def rounds_table(report: RoundsReport) -> str:
    """Give a line for the start and each round, and one that says how it ended."""
    header = (
        f"{'round':<7}{'version':<18}{'stale':>7}{'overlap':>9}{'pos.rank':>10}{'neg.score':>11}{'loss':>9}"
        f"{'validation':>12}{'held out':>10}"
    )
    start = f"{'start':<7}{'':<18}{'':>7}{'':>9}{'':>10}{'':>11}{'':>9}{_measures(report.start)}"
    return "\n".join([header, start, *(_line(one) for one in report.rounds), _ending(report)])


def _line(one: RoundFigures) -> str:
    mining = one.mining
    return (
        f"{one.round:<7}{one.version:<18}{_number(mining.staleness, 7)}{_number(mining.overlap, 9)}"
        f"{mining.positive_rank:>10.2f}{_number(mining.scores.negative_mean if mining.scores else None, 11)}"
        f"{one.loss_last:>9.4f}{_measures(one)}"
    )


def _measures(one: RoundFigures | StartFigures) -> str:
    return f"{_number(one.validation, 12)}{_number(one.held_out, 10)}"


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.4f}"


def _ending(report: RoundsReport) -> str:
    kept = f"kept: round {report.best}" if report.best else "kept: the start"
    if report.status != "stopped":
        return f"{report.status}; {kept}, the best on {report.validation_queries} validation queries"
    last = report.rounds[-1]
    return (
        f"stopped: round {last.round} made nDCG@10 on {report.validation_queries} validation queries worse by "
        f"{last.behind.mean:.4f} ({last.behind.low:.4f} to {last.behind.high:.4f}, p = {last.behind.chance:.4f}); "
        f"{kept}"
    )
