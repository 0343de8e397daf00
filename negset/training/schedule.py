"""Which batches make a step, how many steps there are, and the learning rate of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from negset.training.batches import Plan, Planned
from negset.training.checkpoint import Position


@dataclass(frozen=True)
class Turn:
    """A step to come: its number and epoch from 0, its batches, and how many of the epoch's are done before it."""

    step: int
    epoch: int
    batches_before: int
    planned: Sequence[Planned]

    def after(self, rows: dict[str, int]) -> Position:
        """Say where the run is once the step is done; journals have `rows` then."""
        return Position(self.step + 1, self.epoch, self.batches_before + len(self.planned), rows)


def count_steps(batches: Sequence[int], accumulate: int) -> int:
    """Count the steps of epochs of so many `batches`; the last step of an epoch may have fewer than `accumulate`."""
    return sum(-(-count // accumulate) for count in batches)


def turns_from(plan: Plan, epochs: int, accumulate: int, position: Position) -> Iterator[Turn]:
    """Yield the steps that follow `position`; only the epoch that it is in is planned again."""
    step = position.step
    for epoch in range(position.epoch, epochs):
        done = position.batches if epoch == position.epoch else 0
        batches = islice(plan(epoch), done, None)
        while planned := list(islice(batches, accumulate)):
            yield Turn(step, epoch, done, planned)
            step, done = step + 1, done + len(planned)


def rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Give the share of the peak rate at `step` from 0: a line up over `warm_up` of the steps, a line down to 0."""
    rising = int(np.ceil(warm_up * steps))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(steps - rising, 1)


def peak_rates(optimizers: Sequence[torch.optim.Optimizer]) -> list[float]:
    """Give the rate that each group of parameters begins with, its highest."""
    return [float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]


def set_rates(optimizers: Sequence[torch.optim.Optimizer], peaks: Sequence[float], factor: float) -> float:
    """Set each group of parameters to `factor` of its peak; give the first rate."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    for group, peak in zip(groups, peaks, strict=True):
        group["lr"] = peak * factor
    return float(groups[0]["lr"])
