"""The build file: whether it is one, its recipe binds, and its source is there."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from flows.doctor.findings import Finding, fail, ok
from negset.building import bind
from negset.configuration import load_scheduled
from negset.encoders.model_folder import find_model
from negset.errors import NegsetError
from negset.periods.expected import check_carriers, expected_partitions, partition_config
from negset.sources.files import find_place
from schemas.config import BuildConfig


def read_dataset(path: Path, overrides: list[str]) -> tuple[BuildConfig | None, list[Finding]]:
    """Read the build file at `path`; of a dataset with partitions the build of the newest, where one is expected."""
    try:
        config, _ = load_scheduled(path, overrides)
        check_carriers(config)
    except NegsetError as error:
        return None, [fail("build file", str(error), f"correct {path}")]
    named = ok("build file", f"{path}: its sections and keys are known")
    if config.partitions.kind == "none":
        return config, [named]
    expected = expected_partitions(config.partitions, datetime.now(UTC))
    if not expected:
        return None, [ok("build file", f"{path}: its sections and keys are known; no partition is expected yet")]
    return partition_config(config, expected[-1]), [named]


def check_dataset(config: BuildConfig) -> Iterator[Finding]:
    """Bind the recipe of `config`, look for its source and for its encoder; nothing is read but names."""
    whose = f" of partition {config.partition}" if config.partition else ""
    try:
        bind(config)
        yield ok("recipe", f"{config.recipe.name!r} fits the miners {', '.join(config.mine.miners)}")
    except NegsetError as error:
        yield fail("recipe", str(error), "change [recipe] or [mine]")
    yield from _source(config, whose)
    if "dense" in config.mine.miners and config.encoder.backend == "sentence-transformers":
        try:
            yield ok(
                "encoder", f"found at {find_model(config.encoder.model, config.encoder.revision, 'encoder.model')}"
            )
        except NegsetError as error:
            yield fail("encoder", str(error), "fetch the model, or give another encoder.model")


def _source(config: BuildConfig, whose: str) -> Iterator[Finding]:
    source = config.source
    if source.format in ("huggingface", "docstrings"):
        return  # by name or from the installed packages: there is no folder to list
    try:
        place = find_place(source.path)
    except NegsetError as error:
        yield fail(f"source{whose}", str(error), "put it there, or change source.path")
        return
    yield ok(f"source{whose}", f"{len(place.names)} files in {place.shown}; not read")
