"""Read a TOML file and the overrides of a command line into a configuration."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from negset.errors import ConfigError, hint
from negset.periods.expected import check_carriers, expected_partitions, find_partition, partition_config
from negset.training.option_files import files_beside
from schemas.config import BuildConfig
from schemas.rounds import RoundsConfig
from schemas.schedule import ScheduleConfig
from schemas.train import TrainConfig

ModelT = TypeVar("ModelT", bound=BaseModel)


def load_build_config(path: Path, overrides: Sequence[str] = ()) -> BuildConfig:
    """Read the build file at `path`; relative paths in it lie beside it; `overrides` are `section.key=value`.

    Where one partition of the dataset is asked for (`partition=NAME`, or `latest`), the build is that one's.
    Raises ConfigError naming the file and the key.
    """
    return one_partition(load_scheduled(path, overrides)[0])


def load_scheduled(path: Path, overrides: Sequence[str] = ()) -> tuple[BuildConfig, ScheduleConfig]:
    """Read the build file at `path` as `load_build_config` does, for all of its partitions, and its `[schedule]`."""
    values = override(read_toml(path), overrides)
    schedule = parse_config(ScheduleConfig, _section(values, "schedule", str(path)), f"{path}, section [schedule]")
    build = parse_config(BuildConfig, {key: values[key] for key in values if key != "schedule"}, str(path))
    return _beside(build, path.parent), schedule


def one_partition(config: BuildConfig) -> BuildConfig:
    """Give the build of the partition that `config` asks for; `config` itself where it asks for none.

    Raises ConfigError where that is not expected yet, or where partitions are asked for that nothing carries.
    """
    check_carriers(config)
    if not config.partition:
        return config
    expected = expected_partitions(config.partitions, datetime.now(UTC))
    return partition_config(config, find_partition(expected, config.partition))


def load_train_config(path: Path | None, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read the training file at `path`, or the defaults where it is None, changed by `overrides`.

    Relative paths in options of the loss and of the plan lie beside it, or in the working directory.
    """
    values = read_toml(path) if path is not None else {}
    config = parse_config(TrainConfig, override(values, overrides), str(path or "the command line"))
    return files_beside(config, path.parent if path else Path())


def load_rounds_config(path: Path | None, overrides: Sequence[str] = ()) -> tuple[TrainConfig, RoundsConfig, list[str]]:
    """Read the training file at `path` with its section `[rounds]`, or the defaults where it is None.

    Of `overrides`, `train.key=value` and `rounds.key=value` change these; the others are given back.
    """
    values = read_toml(path) if path is not None else {}
    nested = {
        "train": {name: value for name, value in values.items() if name != "rounds"},
        "rounds": values.get("rounds", {}),
    }
    own = [item for item in overrides if item.strip().startswith(("train.", "rounds."))]
    changed = override(nested, own)
    where = str(path or "the command line")
    train = parse_config(TrainConfig, _section(changed, "train", where), where)
    rounds = parse_config(RoundsConfig, _section(changed, "rounds", where), where)
    return files_beside(train, path.parent if path else Path()), rounds, [item for item in overrides if item not in own]


def _section(values: Mapping[str, object], name: str, where: str) -> Mapping[str, object]:
    section = values.get(name, {})
    if not isinstance(section, Mapping):
        message = f"{where}: {name!r} is {section!r}, not a section"
        raise ConfigError(message)
    return section


def read_toml(path: Path) -> dict[str, object]:
    """Parse the TOML file at `path`; raise ConfigError saying where it is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 (byte {error.start})"
        raise ConfigError(message) from error
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not TOML: {error}"
        raise ConfigError(message) from error


def override(values: Mapping[str, object], overrides: Iterable[str]) -> dict[str, object]:
    """Give `values` with each `section.key=value` of `overrides` put in place; a value is TOML or else a string."""
    changed: dict[str, object] = {**values}
    for item in overrides:
        dotted, equals, text = item.partition("=")
        if not equals or not dotted.strip():
            message = f"--set takes section.key=value, not {item!r}"
            raise ConfigError(message)
        changed = _put(changed, dotted.strip().split("."), _toml_value(text.strip()), item)
    return changed


def _put(table: Mapping[str, object], path: Sequence[str], value: object, item: str) -> dict[str, object]:
    first, rest = path[0], path[1:]
    if not rest:
        return {**table, first: value}
    inner = table.get(first, {})
    if not isinstance(inner, Mapping):
        message = f"--set {item}: {first!r} is a value, not a section"
        raise ConfigError(message)
    return {**table, first: _put(inner, rest, value, item)}


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def parse_config(model: type[ModelT], values: Mapping[str, object], where: str) -> ModelT:
    """Check `values` against `model`; raise ConfigError with a line for each wrong key, naming it and `where`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(_complaint(model, detail["loc"], detail["msg"], detail["input"]) for detail in error.errors())
        message = f"{where}: {wrong}"
        raise ConfigError(message) from error


def _complaint(model: type[BaseModel], location: tuple[int | str, ...], what: str, found: object) -> str:
    key = ".".join(str(part) for part in location)
    if what.startswith("Extra inputs"):
        known = _known_keys(model, location[:-1])
        return f"unknown key {key!r}{hint(str(location[-1]), known)}; known here: {', '.join(known)}"
    if what == "Field required":
        return f"key {key!r} is missing"
    return f"{key} = {found!r}: {what[:1].lower()}{what[1:]}"


def _known_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field is not None else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)


def _beside(config: BuildConfig, folder: Path) -> BuildConfig:
    """Give `config` with every relative path in it made absolute: paths lie beside the file that names them."""
    source, encoder, mine, recipe = config.source, config.encoder, config.mine, config.recipe
    is_name = source.format == "huggingface" and not source.path.startswith(".")
    model = encoder.model if not encoder.model.startswith(".") else _absolute(encoder.model, folder)
    vectors = {
        name: _absolute(path, folder)
        for name, path in (("query_vectors", encoder.query_vectors), ("document_vectors", encoder.document_vectors))
    }
    places = {"pair_stats": _absolute(recipe.pair_stats, folder)}
    if recipe.name.endswith(".toml"):
        places["name"] = _absolute(recipe.name, folder)
    return config.model_copy(
        update={
            "source": source if is_name else source.model_copy(update={"path": _absolute(source.path, folder)}),
            "encoder": encoder.model_copy(update={"model": model, **vectors}),
            "mine": mine.model_copy(
                update={"run": mine.run.model_copy(update={"path": _absolute(mine.run.path, folder)})}
            ),
            "gates": config.gates.model_copy(
                update={"evaluation": tuple(_absolute(path, folder) for path in config.gates.evaluation)}
            ),
            "recipe": recipe.model_copy(update=places),
        }
    )


def _absolute(path: str, folder: Path) -> str:
    return str((folder / path).resolve()) if path and "://" not in path else path
