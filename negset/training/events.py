"""The figures of a run as TensorBoard files, where that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from negset.errors import ConfigError
from negset.training.records import StepFigures, Tell, tell_nobody
from schemas.train import TrainConfig

EVENTS: Final = "events"
"""Folder of the TensorBoard files, in the folder of the run: `tensorboard --logdir` reads it."""
_PACKAGE: Final = "tensorboardX"


def require_events(config: TrainConfig) -> None:
    """Raise ConfigError naming what to install where TensorBoard files are asked for and cannot be written."""
    if config.tensorboard and find_spec(_PACKAGE) is None:
        message = (
            f"train.tensorboard = true needs the package {_PACKAGE}: pip install 'negset[tensorboard]', or leave it out"
        )
        raise ConfigError(message)


@contextmanager
def open_events(config: TrainConfig, folder: Path, resumed_at: int) -> Iterator[Tell]:
    """Give what writes the figures of a step to `folder`/events while the block runs.

    What a killed run wrote of steps after `resumed_at` is hidden by what this one writes of them.
    """
    if not config.tensorboard:
        yield tell_nobody
        return
    writer = import_module(_PACKAGE).SummaryWriter(str(folder / EVENTS), purge_step=resumed_at + 1)

    def tell(figures: StepFigures) -> None:
        for name in ("loss", "learning_rate", "queries_per_second", "gpu_mib"):
            value = getattr(figures, name)
            if value is not None:
                writer.add_scalar(f"train/{name}", value, figures.step)

    try:
        yield tell
    finally:
        writer.close()
