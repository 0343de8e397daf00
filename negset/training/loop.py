"""The loop: a fixed plan of batches, one optimizer step each, that a kill interrupts but does not change."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.store import make_folder
from negset.training.batches import Plan, Planned, collate_batch, shuffled_plan
from negset.training.checkpoint import CHECKPOINT, clear_checkpoint, load_checkpoint, module_digest, save_checkpoint
from negset.training.examples import Examples
from negset.training.model import Trainable
from negset.training.objective import Moment, find_loss
from negset.training.remining import Supply, clear_negatives, epoch_supply
from negset.training.step import bind, take_step
from schemas.config import TrainConfig

VERSION: Final = 2
MODEL: Final = "model"
"""Folder of the trained model, in the folder of the run."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What a finished run leaves: the mean loss of each step, where it was resumed, where the model lies."""

    losses: tuple[float, ...]
    steps_per_epoch: int
    resumed_at: int
    model_folder: Path


def train_encoder(
    model: Trainable,
    examples: Examples,
    config: TrainConfig,
    folder: Path,
    progress: Progress = no_progress,
    supply: Supply | None = None,
) -> Training:
    """Train `model` on `examples` and save it to `folder`, going on from a checkpoint of the same run there.

    On one machine and with one number of threads the result depends on examples, config and the start alone:
    batches, positives and dropout are drawn from hashes, so a resumed run equals one that was never stopped.
    `supply` gives each batch its negatives in place of the set; `config.remine` is one of its own.
    Raises ConfigError for a loss that does not exist, and ContractError naming the queries whose loss is not finite.
    """
    make_folder(folder)
    optimizers = model.optimizers()
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    run = run_fingerprint(model, examples, config, supply)
    examples_of = batch_examples(model, examples, config, folder, run, supply)
    found = load_checkpoint(folder / CHECKPOINT, run, model.module, optimizers)
    losses = [] if found is None else list(found)
    resumed_at = len(losses)
    binding = bind(model, examples, config)
    plan = shuffled_plan(examples, config.seed, config.batch_size, in_batch=config.in_batch)
    epochs = config.epochs or model.pace.epochs
    per_epoch = -(-len(examples.query_ids) // config.batch_size)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        for epoch, planned in _batches(plan, epochs, resumed_at):
            batch = collate_batch(
                examples_of(epoch, planned), planned, config.seed, epoch, every_document=config.candidates == "all"
            )
            _set_rates(optimizers, peaks, _rate_factor(len(losses), epochs * per_epoch, model.pace.warm_up))
            torch.manual_seed(int(fingerprint(config.seed, len(losses))[:15], 16))
            moment = Moment(config.seed, epoch, epochs, len(losses), epochs * per_epoch)
            losses.append(float(take_step(binding, optimizers, batch, moment).mean()))
            _log.debug("step %d of %d: loss %.4f", len(losses), epochs * per_epoch, losses[-1])
            progress("train", len(losses), epochs * per_epoch)
            if len(losses) % config.checkpoint_every == 0:
                save_checkpoint(folder / CHECKPOINT, run, losses, model.module, optimizers)
    model.save(folder / MODEL)
    clear_checkpoint(folder / CHECKPOINT)
    clear_negatives(folder)
    return Training(tuple(losses), per_epoch, resumed_at, folder / MODEL)


def batch_examples(
    model: Trainable, examples: Examples, config: TrainConfig, folder: Path, run: str, supply: Supply | None
) -> Callable[[int, Planned], Examples]:
    """Say what each batch is collated from: the set, what the model finds each epoch, or what `supply` gives."""
    if supply is not None:
        return supply.examples
    if config.remine == "epoch":
        return epoch_supply(model, examples, config, folder, run)
    return lambda _epoch, _planned: examples


def run_fingerprint(model: Trainable, examples: Examples, config: TrainConfig, supply: Supply | None = None) -> str:
    """Hash all that decides the trained parameters: config, examples and the parameters at the start."""
    digest = hashlib.sha256()
    for texts in (examples.query_ids, examples.query_texts, examples.document_ids, examples.document_texts):
        digest.update(f"{len(texts)}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
    for groups in (examples.positives, examples.negatives, examples.known):
        digest.update(groups.offsets.tobytes())
        digest.update(groups.rows.tobytes())
    digest.update(examples.negative_weights.tobytes())
    loss_version = find_loss(config.loss).version
    supplied = [] if supply is None else [supply.identity]
    return fingerprint(
        "training", VERSION, loss_version, config, module_digest(model.module), digest.hexdigest(), *supplied
    )


def _batches(plan: Plan, epochs: int, done: int) -> Iterator[tuple[int, Planned]]:
    """Yield epoch and queries of each step after the first `done`."""
    step = 0
    for epoch in range(epochs):
        for planned in plan(epoch):
            step += 1
            if step > done:
                yield epoch, planned


def _rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Give the share of the peak rate at `step` from 0: a line up over `warm_up` of the steps, a line down to 0."""
    rising = int(np.ceil(warm_up * steps))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(steps - rising, 1)


def _set_rates(optimizers: Sequence[torch.optim.Optimizer], peaks: Sequence[float], factor: float) -> None:
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    for group, peak in zip(groups, peaks, strict=True):
        group["lr"] = peak * factor
