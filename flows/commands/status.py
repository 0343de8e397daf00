"""`negset status CONFIG`: how every partition of a dataset stands."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.periods.expected import expected_partitions, newest_partition, partition_config, partitions_between
from negset.periods.status import DatasetStatus, read_status
from schemas.config import BuildConfig
from tasks.place import Place
from tasks.sets import bring_set


def run(options: argparse.Namespace) -> int:
    """Print how the partitions of `options.config` stand; nothing is built."""
    config = load_whole(options)
    status = status_of(config, options.first, options.last)
    print_status(status)
    write_json(status, options.json)
    return 0


def load_whole(options: argparse.Namespace) -> BuildConfig:
    """Read `options.config` for all of its partitions."""
    config = load_build_config(Path(options.config), options.overrides)
    if config.partition:
        message = "this command is about all partitions: give --from and --to, not partition"
        raise ConfigError(message)
    return config


def status_of(config: BuildConfig, first: str, last: str) -> DatasetStatus:
    """Say how the partitions from `first` to `last` stand now, without Prefect."""
    now = datetime.now(UTC)
    expected = expected_partitions(config.partitions, now)
    newest = newest_partition(config.partitions, expected)
    between = partitions_between(expected, first, last)
    place = Place()
    for one in between:
        bring_set(place, partition_config(config, one).set_name)
    return read_status(config, between, place.open_store(), place.sets_folder(), now, newest)


def print_status(status: DatasetStatus) -> None:
    """Print `status` as a table, a line for each partition, and what it comes to."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    table = Table(
        "partition",
        "state",
        Column("version", no_wrap=True),
        "published",
        Column("negatives", justify="right"),
        Column("queries", justify="right"),
        Column("kept", justify="right"),
        Column("warns", justify="right"),
        "why",
        title=f"partitions of {status.dataset}",
        title_justify="left",
    )
    for one in status.partitions:
        figures = (
            (f"{one.rows:,}", f"{one.queries:,}", f"{one.kept:.1%}", str(one.warnings)) if one.version else ("",) * 4
        )
        table.add_row(one.key, one.state, one.version or "", one.published_at or "", *figures, escape(one.why))
    console.print(table)
    print(f"{len(status.partitions)} partitions: {_counted(status)}")
    newest = f"newest      {status.newest}" if status.newest else "all"
    print(f"{newest}, {'up to date' if status.fresh else 'not up to date'}")


def _counted(status: DatasetStatus) -> str:
    return ", ".join(f"{count} {state}" for state, count in status.counts().items()) or "none expected yet"


def write_json(status: DatasetStatus, path: str | None) -> None:
    """Write `status` to the file `path`, where one is given."""
    if not path:
        return
    try:
        Path(path).write_text(f"{status.model_dump_json(indent=1)}\n", encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
