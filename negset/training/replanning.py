"""A batch plan that is made anew during a run, kept so that a resumed run and other processes take the same batches."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from negset.artifact import StoredFile
from negset.batching.renewing import check_refresh, renewed_epochs
from negset.errors import ArtifactError, ConfigError
from negset.store import check_file, make_folder, rename_folder, storage_fault, stored_files, write_durably
from negset.training.batches import Plan, Planned, PlannedRun
from negset.training.checkpoint import Position
from negset.training.distributed import World, wait_for_all
from negset.training.examples import Examples
from negset.training.model import Trainable
from schemas.train import TrainConfig

FILES: Final = "files.json"
"""What a kept plan consists of, with digests."""


def renewed_plan(
    by: PlannedRun, model: Trainable, examples: Examples, config: TrainConfig, folder: Path, run: str, world: World
) -> Plan:
    """Give the plan `by`, made anew every `config.plan_refresh` epochs from the vectors of `model` as it is then.

    Of several processes the first makes and keeps it in the `folder` of the `run`, while the others wait to read it.
    Raises ConfigError where it cannot be renewed.
    """
    check_refresh(config, examples.positives)
    renewal, epochs = by.renewal, len(by.batches)
    if renewal is None:
        message = (
            f"train.plan_refresh = {config.plan_refresh} needs what the plan {config.plan!r} is made of, and this run "
            "was not given it: negset train gives it"
        )
        raise ConfigError(message)
    follow = lru_cache(1)(renewal.follow)

    def plan_epoch(epoch: int) -> Iterator[Planned]:
        together = renewed_epochs(config, epochs, epoch)
        if not together:
            yield from by.plan(epoch)
            return
        path = _file(folder, run, together.start)
        if world.first and epoch == together.start:
            keep_plan(path, lambda staged: renewal.make(model.encode, together, staged))
        wait_for_all(world)
        yield from follow(path)(epoch)

    return plan_epoch


def keep_plan(path: Path, make: Callable[[Path], None]) -> None:
    """Leave the plan at `path` where it is whole, else have `make` write it to a folder that is then renamed so.

    A run that was killed after this has not the model any more that it was made with, so it must find it there. One
    that is damaged is made anew: this is called at the start of an epoch, when the model is what it was then.
    """
    with suppress(ArtifactError):
        _check(path)
        return
    staged = path.with_name(f"{path.name}.tmp")
    for left in (path, staged):
        shutil.rmtree(left, ignore_errors=True)
    make_folder(staged)
    try:
        make(staged)
        files = [one.model_dump() for one in stored_files(staged)]
        write_durably(staged / FILES, json.dumps(files).encode())
        rename_folder(staged, path)
    except OSError as error:
        raise storage_fault(error, staged) from error


def check_kept_plan(config: TrainConfig, epochs: int, folder: Path, run: str, position: Position) -> None:
    """Raise ArtifactError where a run cannot go on from `position`, as the plan of that epoch is gone or damaged.

    After the last step of the epoch before, the model is what the plan was made with: it can be made again from there.
    """
    together = renewed_epochs(config, epochs, position.epoch)
    if together and position.batches:
        _check(_file(folder, run, together.start))


def clear_plans(folder: Path) -> None:
    """Remove the plans that were kept in the `folder` of a run that is at its end."""
    for path in folder.glob("replanned-*"):
        shutil.rmtree(path, ignore_errors=True)


def _file(folder: Path, run: str, epoch: int) -> Path:
    return folder / f"replanned-{run[:16]}-{epoch}"


def _check(path: Path) -> None:
    """Raise ArtifactError unless all files of the plan at `path` are what was written."""
    try:
        files = [StoredFile.model_validate(one) for one in json.loads((path / FILES).read_bytes())]
    except (OSError, ValueError) as error:
        message = f"{path} is gone or damaged, with the plan of the epoch that the run is in: {error}"
        raise ArtifactError(message) from error
    for file in files:
        check_file(path / file.path, file.bytes, file.sha256)
