"""`negset deploy CONFIG`: register what a dataset needs on a Prefect server to be built every day."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.local_server import server_is_configured
from negset.building import bind
from negset.configuration import load_rounds_config, load_scheduled
from negset.errors import ConfigError
from negset.periods.expected import check_carriers, expected_partitions, partition_config
from schemas.config import BuildConfig

if TYPE_CHECKING:
    from flows.deployments.planning import Dataset
    from flows.deployments.registering import Outcome


def run(options: argparse.Namespace) -> int:
    """Register the deployments and automations of `options.config`, or write or show them, and say what changed."""
    dataset = _dataset(options)
    if options.write:
        return _write(dataset, Path(options.write))
    if not server_is_configured(os.environ):
        message = "no Prefect server is configured: set PREFECT_API_URL, such as http://127.0.0.1:4200/api"
        raise ConfigError(message)
    # Importing Prefect takes seconds, and a wrong configuration is told at once.
    from flows.deployments.registering import deploy

    done = deploy(dataset, dry_run=options.dry_run)
    for one in done:
        print(_line(one, options.dry_run))
    if all(one.what == "unchanged" for one in done):
        print("nothing changes" if options.dry_run else "nothing changed")
    elif not options.dry_run:
        print(f"runs start where a worker does: prefect worker start --pool {options.work_pool}")
    return 0


def _dataset(options: argparse.Namespace) -> "Dataset":
    given = {"cron": options.cron, "interval": options.interval, "timezone": options.timezone}
    changes = [f"schedule.{name}={value}" for name, value in given.items() if value is not None]
    # One given here takes the place of the other in the file.
    changes += ["schedule.interval="] if options.cron else ["schedule.cron="] if options.interval else []
    train, rounds, rest = load_rounds_config(
        Path(options.train) if options.train else None, options.overrides + changes
    )
    build, schedule = load_scheduled(Path(options.config), rest)
    _check(build)
    from flows.deployments.planning import Dataset

    return Dataset(build, schedule, train, rounds, options.work_pool)


def _check(build: BuildConfig) -> None:
    """Raise what a run would raise at once: a recipe that cannot work, partitions that nothing carries."""
    check_carriers(build)
    if build.partitions.kind == "none":
        bind(build)
        return
    for one in expected_partitions(build.partitions, datetime.now(UTC))[-1:]:
        bind(partition_config(build, one))


def _write(dataset: "Dataset", path: Path) -> int:
    from flows.deployments.planning import plan_deployments, prefect_yaml

    try:
        path.write_text(prefect_yaml(plan_deployments(dataset)), encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
    print(f"wrote {path}: prefect deploy --all registers it, but for the automations")
    return 0


def _line(one: "Outcome", dry_run: bool) -> str:
    what = one.what
    said = f"would be {what}" if dry_run and what != "unchanged" else what
    fields = f": {', '.join(one.fields)}" if one.fields else ""
    return f"{one.kind:<11} {one.name:<52} {said}{fields}"
