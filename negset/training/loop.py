"""The loop: a fixed plan of batches, one optimizer step each, that a kill interrupts but does not change."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from negset.errors import ContractError, listed
from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.store import make_folder
from negset.training.batches import Batch, collate_batch, plan_epoch
from negset.training.checkpoint import CHECKPOINT, clear_checkpoint, load_checkpoint, module_digest, save_checkpoint
from negset.training.examples import Examples, Rows
from negset.training.losses import info_nce
from negset.training.model import Embed, Trainable
from schemas.config import TrainConfig

VERSION: Final = 1
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
    model: Trainable, examples: Examples, config: TrainConfig, folder: Path, progress: Progress = no_progress
) -> Training:
    """Train `model` on `examples` and save it to `folder`, going on from a checkpoint of the same run there.

    On one machine and with one number of threads the result depends on examples, config and the start alone:
    batches, positives and dropout are drawn from hashes, so a resumed run equals one that was never stopped.
    Raises ContractError naming the queries where a loss is not finite.
    """
    make_folder(folder)
    optimizers = model.optimizers()
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    run = run_fingerprint(model, examples, config)
    found = load_checkpoint(folder / CHECKPOINT, run, model.module, optimizers)
    losses = [] if found is None else list(found)
    resumed_at = len(losses)
    embed_query = model.bind(examples.query_texts, "query")
    embed_document = model.bind(examples.document_texts, "document")
    epochs = config.epochs or model.pace.epochs
    per_epoch = -(-len(examples.query_ids) // config.batch_size)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        for epoch, queries_B in _batches(examples, config, epochs, resumed_at):
            batch = collate_batch(examples, queries_B, config.seed, epoch, in_batch=config.in_batch)
            _set_rates(optimizers, peaks, _rate_factor(len(losses), epochs * per_epoch, model.pace.warm_up))
            torch.manual_seed(int(fingerprint(config.seed, len(losses))[:15], 16))
            losses.append(_take_step(model, optimizers, batch, embed_query, embed_document, config, examples))
            _log.debug("step %d of %d: loss %.4f", len(losses), epochs * per_epoch, losses[-1])
            progress("train", len(losses), epochs * per_epoch)
            if len(losses) % config.checkpoint_every == 0:
                save_checkpoint(folder / CHECKPOINT, run, losses, model.module, optimizers)
    model.save(folder / MODEL)
    clear_checkpoint(folder / CHECKPOINT)
    return Training(tuple(losses), per_epoch, resumed_at, folder / MODEL)


def run_fingerprint(model: Trainable, examples: Examples, config: TrainConfig) -> str:
    """Hash all that decides the trained parameters: config, examples and the parameters at the start."""
    digest = hashlib.sha256()
    for texts in (examples.query_ids, examples.query_texts, examples.document_ids, examples.document_texts):
        digest.update(f"{len(texts)}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
    for groups in (examples.positives, examples.negatives, examples.known):
        digest.update(groups.offsets.tobytes())
        digest.update(groups.rows.tobytes())
    return fingerprint("training", VERSION, config, module_digest(model.module), digest.hexdigest())


def _batches(examples: Examples, config: TrainConfig, epochs: int, done: int) -> Iterator[tuple[int, Rows]]:
    """Yield epoch and query rows of each step after the first `done`."""
    step = 0
    for epoch in range(epochs):
        for queries_B in plan_epoch(examples, config.seed, epoch, config.batch_size):
            step += 1
            if step > done:
                yield epoch, queries_B


def _take_step(
    model: Trainable,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Batch,
    embed_query: Embed,
    embed_document: Embed,
    config: TrainConfig,
    examples: Examples,
) -> float:
    """Move the parameters once; give the mean loss of the batch."""
    target_B, masked_BC = (torch.from_numpy(array).to(model.device) for array in (batch.target_B, batch.masked_BC))
    vectors_BD, vectors_CD = embed_query(batch.queries_B), embed_document(batch.candidates_C)
    losses_B = info_nce(vectors_BD, vectors_CD, target_B, masked_BC, config.temperature)
    finite_B = torch.isfinite(losses_B.detach()).cpu().numpy()
    if not finite_B.all():
        ids = [examples.query_ids[row] for row in batch.queries_B[~finite_B].tolist()]
        message = f"the loss of {len(ids)} queries is not finite: {listed(ids)}. Lower train.learning_rate"
        raise ContractError(message)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss = losses_B.mean()
    loss.backward()  # type: ignore[no-untyped-call]
    if model.pace.gradient_limit:
        torch.nn.utils.clip_grad_norm_(model.module.parameters(), model.pace.gradient_limit)
    for optimizer in optimizers:
        optimizer.step()
    return float(loss.detach())


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
