"""The loop: a fixed plan of batches, one optimizer step each, that a kill interrupts but does not change."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from negset.errors import ConfigError
from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.store import make_folder
from negset.training.batches import Batch, Plan, Planned, PlannedRun, collate_batch, shuffled_batches
from negset.training.binding import Binding, bind, check_needs
from negset.training.checkpoint import CHECKPOINTS, Checkpoints, Position
from negset.training.distributed import ALONE, World, in_turn
from negset.training.episodes import Episode, check_episode, clear_episodes, follow_episode, start_episode
from negset.training.events import open_events, require_events
from negset.training.examples import Examples
from negset.training.model import Trainable
from negset.training.objective import Moment, find_loss
from negset.training.option_files import by_content
from negset.training.records import (
    PAIRS,
    STEPS,
    Done,
    Listeners,
    Recorder,
    StepFigures,
    Tell,
    check_journals,
    tell_all,
    tell_nobody,
)
from negset.training.remining import Supply, check_negatives, clear_negatives, epoch_supply
from negset.training.replanning import check_kept_plan, clear_plans, renewed_plan
from negset.training.schedule import Turn, count_steps, peak_rates, rate_factor, set_rates, turns_from
from negset.training.signals import GUIDE, NO_SIGNALS, Signals
from negset.training.state import State, module_digest
from negset.training.step import take_step
from schemas.train import SHUFFLED, TrainConfig

VERSION: Final = 3
MODEL: Final = "model"
"""Folder of the trained model, in the folder of the run."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What a finished run leaves: figures of each step, where it was resumed, where the model lies.

    `passed_over` names checkpoints that were damaged and why, where the run was resumed from an older one.
    """

    history: tuple[StepFigures, ...]
    resumed_at: int
    passed_over: tuple[str, ...]
    model_folder: Path

    @property
    def losses(self) -> tuple[float, ...]:
        """The mean loss of each step."""
        return tuple(figures.loss for figures in self.history)


@dataclass(frozen=True)
class Course:
    """A run that is about to go on: what moves, in which order, and where it is written down."""

    binding: Binding
    config: TrainConfig
    plan: Plan
    epochs: int
    steps: int
    state: State
    peaks: list[float]
    folder: Path
    run: str
    examples_of: Callable[[int, Planned], Examples]

    def collate(self, epoch: int, planned: Planned) -> Batch:
        """Gather the candidates of `planned` queries."""
        every_document, examples = self.config.candidates == "all", self.examples_of(epoch, planned)
        return collate_batch(examples, planned, self.config.seed, epoch, every_document=every_document)

    def check(self, position: Position) -> None:
        """Raise ArtifactError where something is gone that the run needs to go on from `position`."""
        check_journals(self.folder, position.rows or {})
        check_episode(self.binding, self.folder, self.run, position)
        check_negatives(self.config, self.folder, self.run, position)
        check_kept_plan(self.config, self.epochs, self.folder, self.run, position)

    def moment(self, turn: Turn) -> Moment:
        """Say where in the run a step is."""
        return Moment(self.config.seed, turn.epoch, self.epochs, turn.step, self.steps)


def train_encoder(
    model: Trainable,
    examples: Examples,
    config: TrainConfig,
    folder: Path,
    progress: Progress = no_progress,
    *,
    signals: Signals = NO_SIGNALS,
    supply: Supply | None = None,
    tell: Tell = tell_nobody,
    world: World = ALONE,
    by: PlannedRun | None = None,
) -> Training:
    """Train `model` on `examples` and save it to `folder`, going on from a checkpoint of the same run there.

    The batches are those that the plan `by` has, or in a random order. With `config.plan_refresh` the plan is made anew
    every so many epochs by the model itself, as its `renewal` says.

    On one machine and with one number of threads the result depends on examples, config, signals and the start
    alone: batches, positives and dropout are drawn from hashes, so a resumed run equals one that was never stopped.
    `supply` gives each batch its negatives in place of the set, as `config.remine` does by the model itself.
    Checkpoints stay in `folder` until `clear_run`, as the caller may have more to do before the run is done with.
    Of the processes of a `world` the first alone writes; what the others give has no history.
    Raises ConfigError for a loss that does not exist or that needs what is not configured, and ContractError naming
    the queries whose loss is not finite.
    """
    check_needs(config)
    require_events(config)
    make_folder(folder)
    course = _prepare(model, examples, config, folder, signals, supply, world, by)
    with (
        Checkpoints(folder / CHECKPOINTS, course.run, config.keep_checkpoints) as checkpoints,
        _own_generator(model.device),
    ):
        # One after the other: the first clears away what cannot be gone on from.
        with in_turn(world):
            resumed = checkpoints.restore(course.state, course.check)
        if not world.first:
            _go_on(course, resumed.position)
            return Training((), resumed.position.step, (), folder / MODEL)
        with open_events(config, folder, resumed.position.step) as write_event:
            told = Listeners(progress, tell_all(tell, write_event))
            recorder = Recorder(examples, folder, course.steps, model.device, told)
            recorder.cut(resumed.position.rows or {})
            _go_on(course, resumed.position, Written(recorder, checkpoints))
    # A kill while it was being saved left half a folder, whose files would lie among those of this one.
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    model.save(folder / MODEL)
    return Training(recorder.history(), resumed.position.step, resumed.passed_over, folder / MODEL)


def clear_run(folder: Path) -> None:
    """Remove what the run in `folder` needs to go on, once nothing is left to do."""
    Checkpoints(folder / CHECKPOINTS, "", 1).clear()
    clear_episodes(folder)
    clear_negatives(folder)
    clear_plans(folder)
    for left in (STEPS, PAIRS, GUIDE):
        (folder / left).unlink(missing_ok=True)


def run_fingerprint(
    model: Trainable,
    examples: Examples,
    config: TrainConfig,
    signals: Signals = NO_SIGNALS,
    supply: Supply | None = None,
    plan: str = "",
) -> str:
    """Hash all that decides the trained parameters: config, examples, signals, plan and the parameters at the start."""
    digest = hashlib.sha256()
    for texts in (examples.query_ids, examples.query_texts, examples.document_ids, examples.document_texts):
        digest.update(f"{len(texts)}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
    for groups in (examples.positives, examples.negatives, examples.known):
        digest.update(groups.offsets.tobytes())
        digest.update(groups.rows.tobytes())
    digest.update(examples.negative_weights.tobytes())
    loss_version, start = find_loss(config.loss).version, module_digest(model.module)
    supplied = [] if supply is None else [supply.identity]
    return fingerprint(
        "training",
        VERSION,
        loss_version,
        by_content(config),
        start,
        digest.hexdigest(),
        signals.digest(),
        plan,
        *supplied,
    )


def _prepare(
    model: Trainable,
    examples: Examples,
    config: TrainConfig,
    folder: Path,
    signals: Signals,
    supply: Supply | None,
    world: World,
    by: PlannedRun | None,
) -> Course:
    run = run_fingerprint(model, examples, config, signals, supply, by.digest if by else "")
    binding = bind(model, examples, config, signals, world)
    optimizers = [*model.optimizers(), *_memory_optimizers(binding, config)]
    if by is None:
        if config.plan != SHUFFLED:
            message = (
                f"the batches of train.plan = {config.plan!r} were not made before training; negset train makes them"
            )
            raise ConfigError(message)
        epochs = config.epochs or model.pace.epochs
        by = shuffled_batches(examples, config.seed, config.batch_size, epochs, in_batch=config.in_batch)
    return Course(
        binding=binding,
        config=config,
        plan=renewed_plan(by, model, examples, config, folder, run, world) if config.plan_refresh else by.plan,
        epochs=len(by.batches),
        steps=count_steps(by.batches, config.accumulate),
        state=State(model.module, binding.memory, optimizers),
        peaks=peak_rates(optimizers),
        folder=folder,
        run=run,
        examples_of=_batch_examples(model, examples, config, folder, run, supply),
    )


def _batch_examples(
    model: Trainable, examples: Examples, config: TrainConfig, folder: Path, run: str, supply: Supply | None
) -> Callable[[int, Planned], Examples]:
    """Say what each batch is collated from: the set, what the model finds each epoch, or what `supply` gives."""
    if supply is not None:
        return supply.examples
    if config.remine == "epoch":
        return epoch_supply(model, examples, config, folder, run)
    return lambda _epoch, _planned: examples


def _memory_optimizers(binding: Binding, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Give AdamW without decay for the parameters of the loss's own, where it has some; a memory may have none."""
    parameters = [] if binding.memory is None else list(binding.memory.parameters())
    if not parameters:
        return []
    rate = config.memory_rate or binding.model.learning_rate
    return [torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)]


@dataclass(frozen=True)
class Written:
    """Where a run is written down."""

    recorder: Recorder
    checkpoints: Checkpoints


def _go_on(course: Course, position: Position, written: Written | None = None) -> None:
    """Take all steps that follow `position`; a process that is not the first writes nothing."""
    episode: tuple[int, Episode | None] = (-1, None)
    config, state = course.config, course.state
    for turn in turns_from(course.plan, course.epochs, config.accumulate, position):
        moment = course.moment(turn)
        if episode[0] != turn.epoch:
            episode = (turn.epoch, _start_episode(course, moment, turn, written))
        batches = [course.collate(turn.epoch, planned) for planned in turn.planned]
        factor = rate_factor(turn.step, course.steps, course.binding.model.pace.warm_up)
        rate = set_rates(state.optimizers, course.peaks, factor)
        losses = take_step(course.binding, state.optimizers, batches, moment, episode[1])
        if written is not None:
            written.recorder.add(Done(turn.step, turn.epoch, batches, losses, rate))
            if (turn.step + 1) % config.checkpoint_every == 0:
                written.recorder.flush()
                written.checkpoints.save(turn.after(written.recorder.rows()), state, written.recorder.sync)
    if written is not None:
        written.recorder.flush()


def _start_episode(course: Course, moment: Moment, turn: Turn, written: Written | None) -> Episode | None:
    if written is None:
        return follow_episode(course.binding, moment, course.folder, course.run)
    written.recorder.flush()
    losses = written.recorder.pair_losses
    return start_episode(course.binding, moment, turn.batches_before, course.folder, course.run, losses)


@contextmanager
def _own_generator(device: torch.device) -> Iterator[None]:
    """Leave the caller's random generator as it was: steps set it to what their hashes say."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
