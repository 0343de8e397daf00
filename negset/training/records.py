"""What a run writes down as it goes: figures of each step, the loss of each pair, and whom it tells."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl
import torch

from negset.progress import Progress, no_progress
from negset.training.batches import Batch
from negset.training.examples import Examples
from negset.training.journal import Journal
from negset.training.pair_losses import pair_losses
from negset.training.step import check_finite

STEP: Final = np.dtype(
    [
        ("step", "<i8"),
        ("epoch", "<i8"),
        ("queries", "<i8"),
        ("loss", "<f8"),
        ("learning_rate", "<f8"),
        ("queries_per_second", "<f8"),
        ("gpu_mib", "<f8"),
    ]
)
"""A step of a run; step and epoch count from 1."""
PAIR: Final = np.dtype([("query", "<i8"), ("document", "<i8"), ("epoch", "<i8"), ("loss", "<f8")])
"""The loss of a query with one of its positives, as rows of the run; the epoch counts from 0."""

STEPS: Final = "steps.bin"
PAIRS: Final = "pairs.bin"
_TOGETHER: Final = 16
"""Steps on a GPU whose losses are fetched at once: each fetch waits for all that was asked of it."""


@dataclass(frozen=True)
class StepFigures:
    """A step that is done, of `steps`: mean loss, peak rate, throughput, and the most memory of the GPU so far.

    Steps and epochs count from 1; `gpu_mib` is None without a GPU.
    """

    step: int
    steps: int
    epoch: int
    queries: int
    loss: float
    learning_rate: float
    queries_per_second: float
    gpu_mib: float | None

    def numbers(self) -> dict[str, object]:
        """Give a line of the history."""
        memory = {} if self.gpu_mib is None else {"gpu_mib": round(self.gpu_mib, 1)}
        return {
            "step": self.step,
            "epoch": self.epoch,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "queries": self.queries,
            "queries_per_second": round(self.queries_per_second, 1),
            **memory,
        }


class Tell(Protocol):
    """Be told the figures of each step."""

    def __call__(self, figures: StepFigures) -> None:
        """Take note of a step that is done."""


def tell_nobody(figures: StepFigures) -> None:
    """Ignore every step."""


@dataclass(frozen=True)
class Done:
    """A step as the loop knows it: `step` and `epoch` from 0, its batches and the losses of each."""

    step: int
    epoch: int
    batches: Sequence[Batch]
    losses: Sequence[torch.Tensor]
    learning_rate: float


@dataclass(frozen=True)
class Listeners:
    """Who is told of each step: how far it is, and its figures."""

    progress: Progress = no_progress
    tell: Tell = tell_nobody


class Recorder:
    """Writes the steps of a run into journals in `folder` and tells `listeners` of each."""

    def __init__(
        self, examples: Examples, folder: Path, steps: int, device: torch.device, listeners: Listeners
    ) -> None:
        self.examples = examples
        self.steps = steps
        self.device = device
        self.listeners = listeners
        self.journals = open_journals(folder)
        self._waiting: list[Done] = []
        self._since = time.monotonic()

    def add(self, done: Done) -> None:
        """Take a step; on a GPU its losses are looked at some steps later.

        Raises ContractError naming the queries whose loss is not finite.
        """
        self._waiting.append(done)
        if self.device.type == "cpu" or len(self._waiting) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write down all steps that were taken, and tell of them."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        for done in waiting:
            for batch, losses_B in zip(done.batches, done.losses, strict=True):
                check_finite(losses_B, batch, self.examples)
        now = time.monotonic()
        rate = sum(_queries(done) for done in waiting) / max(now - self._since, 1e-9)
        self._since = now
        for done in waiting:
            self._write(done, rate)

    def rows(self) -> dict[str, int]:
        """Count what each journal holds."""
        return {name: journal.rows() for name, journal in self.journals.items()}

    def cut(self, rows: Mapping[str, int]) -> None:
        """Cut each journal back to `rows`, to none where it is not named."""
        for name, journal in self.journals.items():
            journal.cut(rows.get(name, 0))

    def sync(self) -> None:
        """Force the journals to disk."""
        for journal in self.journals.values():
            journal.sync()

    def history(self) -> tuple[StepFigures, ...]:
        """Give the figures of all steps so far."""
        return tuple(self._figures(row) for row in self.journals[STEPS].read())

    def pair_losses(self) -> pl.DataFrame:
        """Give the losses of all pairs so far."""
        return pair_losses(self.journals[PAIRS].read(), self.examples)

    def _write(self, done: Done, rate: float) -> None:
        pairs = [_pairs(batch, losses_B, done.epoch) for batch, losses_B in zip(done.batches, done.losses, strict=True)]
        self.journals[PAIRS].add(np.concatenate(pairs))
        loss = float(torch.cat(list(done.losses)).mean())
        row = np.array(
            [(done.step + 1, done.epoch + 1, _queries(done), loss, done.learning_rate, rate, self._memory())], STEP
        )
        self.journals[STEPS].add(row)
        self.listeners.tell(self._figures(row[0]))
        self.listeners.progress("train", done.step + 1, self.steps)

    def _figures(self, row: np.void) -> StepFigures:
        memory = float(row["gpu_mib"])
        return StepFigures(
            int(row["step"]),
            self.steps,
            int(row["epoch"]),
            int(row["queries"]),
            float(row["loss"]),
            float(row["learning_rate"]),
            float(row["queries_per_second"]),
            None if np.isnan(memory) else memory,
        )

    def _memory(self) -> float:
        return torch.cuda.max_memory_allocated(self.device) / 2**20 if self.device.type == "cuda" else float("nan")


def open_journals(folder: Path) -> dict[str, Journal]:
    """Give the journals of the run in `folder`: of its steps and of its pairs."""
    return {STEPS: Journal(folder / STEPS, STEP), PAIRS: Journal(folder / PAIRS, PAIR)}


def check_journals(folder: Path, rows: Mapping[str, int]) -> None:
    """Raise ArtifactError where a journal of the run in `folder` holds fewer rows than `rows` says."""
    for name, journal in open_journals(folder).items():
        journal.require(rows.get(name, 0))


def tell_all(*listeners: Callable[[StepFigures], None]) -> Tell:
    """Give what tells each of `listeners`."""

    def tell(figures: StepFigures) -> None:
        for listener in listeners:
            listener(figures)

    return tell


def _queries(done: Done) -> int:
    return sum(len(batch.queries_B) for batch in done.batches)


def _pairs(batch: Batch, losses_B: torch.Tensor, epoch: int) -> np.ndarray:
    rows = np.empty(len(batch.queries_B), dtype=PAIR)
    rows["query"], rows["document"] = batch.queries_B, batch.candidates_C[batch.target_B]
    rows["epoch"], rows["loss"] = epoch, losses_B.double().cpu().numpy()
    return rows
