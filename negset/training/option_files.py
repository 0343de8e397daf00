"""Options of a loss or a batch plan that name a file: where it lies, and what is in it."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from negset.errors import ConfigError
from negset.fingerprint import file_digest
from schemas.train import TrainConfig

Options = Mapping[str, str | int | float | bool]


def files_beside(config: TrainConfig, folder: Path) -> TrainConfig:
    """Give `config` with every relative path in the options of its loss and plan made absolute, beside `folder`."""
    return _changed(config, lambda _key, path: str((folder / path).resolve()))


def by_content(config: TrainConfig) -> TrainConfig:
    """Give `config` with the digest of each file that an option of its loss or plan names, in place of the path.

    Raises ConfigError naming the option whose file cannot be read.
    """
    return _changed(config, _digest)


def _changed(config: TrainConfig, change: Callable[[str, str], str]) -> TrainConfig:
    found = {}
    for key, name, registry in (
        ("loss_options", config.loss, "negset.training.objective:find_loss"),
        ("plan_options", config.plan, "negset.batching.planner:find_plan"),
    ):
        options: Options = getattr(config, key)
        paths = {option: path for option, path in options.items() if isinstance(path, str) and path}
        if paths:
            # Losses import torch, which takes seconds: a run whose options are numbers does without.
            module, _, finder = registry.partition(":")
            files = getattr(import_module(module), finder)(name).files
            named = {option: change(f"train.{key}.{option}", path) for option, path in paths.items() if option in files}
            found[key] = {**options, **named}
    return config.model_copy(update=found)


def _digest(key: str, path: str) -> str:
    try:
        return file_digest(Path(path))
    except OSError as error:
        message = f"cannot read {key} {path}: {error.strerror}"
        raise ConfigError(message) from error
