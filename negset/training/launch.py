"""Train in several processes on one machine: on its GPUs, or on parts of its processor."""

import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from negset.batching.following import planned_run
from negset.batching.reading import OpenedPlan
from negset.batching.renewing import InputsBy
from negset.errors import ConfigError
from negset.progress import Progress, no_progress
from negset.training.batches import PlannedRun
from negset.training.distributed import World
from negset.training.examples import Examples
from negset.training.loop import Training, train_encoder
from negset.training.model import StaticStart, Trainable, open_model
from negset.training.processes import Backend, Say, run_processes
from negset.training.records import StepFigures, Tell, tell_nobody
from negset.training.signals import NO_SIGNALS, Signals
from schemas.train import TrainConfig


@dataclass(frozen=True)
class _Job:
    """What each process is handed; it opens the model itself."""

    start: StaticStart | None
    examples: Examples
    config: TrainConfig
    folder: Path
    signals: Signals
    plan: OpenedPlan | None
    inputs_by: InputsBy | None


def launch_training(
    model: Trainable,
    start: StaticStart | None,
    examples: Examples,
    config: TrainConfig,
    folder: Path,
    progress: Progress = no_progress,
    *,
    signals: Signals = NO_SIGNALS,
    tell: Tell = tell_nobody,
    plan: OpenedPlan | None = None,
    inputs_by: InputsBy | None = None,
) -> Training:
    """Train as `train_encoder` does, in `config.processes` processes; `model`, just opened, ends up trained.

    The batches are those of `plan`, or in a random order. `inputs_by` is what the plan is made of, which is asked where
    `config.plan_refresh` makes it anew; it must be picklable.

    One alone is this process. Of several, each opens the model of `config` from `start`, embeds its part of every batch
    and sees the vectors of all. Without dropout the result is that of one process up to rounding; with it each process
    draws for its own texts.
    Raises EnvironmentFault where a process dies, ConfigError where there are fewer GPUs than processes, and what
    `train_encoder` raises.
    """
    backend = choose_backend(model.device, config)
    if config.processes == 1:
        by = _batches(plan, examples, config, inputs_by)
        return train_encoder(model, examples, config, folder, progress, signals=signals, tell=tell, by=by)

    def hear(said: object) -> None:
        if isinstance(said, StepFigures):
            tell(said)
        elif isinstance(said, tuple):
            progress(*said)

    job = _Job(start, examples, config, folder, signals, plan, inputs_by)
    training, parameters = run_processes(partial(_train_part, job), config.processes, backend, hear)
    model.module.load_state_dict(torch.load(io.BytesIO(parameters), map_location=model.device, weights_only=True))
    return training


def _batches(
    plan: OpenedPlan | None, examples: Examples, config: TrainConfig, inputs_by: InputsBy | None
) -> PlannedRun | None:
    if plan is None:
        return None
    return planned_run(plan, examples, in_batch=config.in_batch, inputs_by=inputs_by)


def _train_part(job: _Job, world: World, say: Say) -> tuple[Training, bytes]:
    """Train in one process; give what the run leaves, and the parameters where it is the first."""
    model = open_model(_placed(job.config, world), job.start)

    def report(step: str, done: int, total: int) -> None:
        say((step, done, total))

    def tell(figures: StepFigures) -> None:
        say(figures)

    training = train_encoder(
        model,
        job.examples,
        job.config,
        job.folder,
        report,
        signals=job.signals,
        tell=tell,
        world=world,
        by=_batches(job.plan, job.examples, job.config, job.inputs_by),
    )
    parameters = io.BytesIO()
    if world.first:
        torch.save(model.module.state_dict(), parameters)
    return training, parameters.getvalue()


def _placed(config: TrainConfig, world: World) -> TrainConfig:
    """Give each process a GPU of its own where GPUs are used."""
    on_gpu = config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())
    return config.model_copy(update={"device": f"cuda:{world.rank}"}) if on_gpu else config


def choose_backend(device: torch.device, config: TrainConfig) -> Backend:
    """Say how processes on `device` speak to each other; raise ConfigError where so many cannot be there."""
    if device.type == "cpu" or config.processes == 1:
        return "gloo"
    if device.type != "cuda":
        message = f"train.processes = {config.processes} works on the processor or on CUDA, not on {device.type}"
        raise ConfigError(message)
    if torch.cuda.device_count() < config.processes:
        message = (
            f"train.processes = {config.processes}, but there are {torch.cuda.device_count()} GPUs: each needs its own"
        )
        raise ConfigError(message)
    return "nccl"
