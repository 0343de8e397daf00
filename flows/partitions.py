"""Build the partitions of a dataset: one, or all that are missing, failed or out of date, a sub-flow each.

A backfill keeps no list of its own: what is to be done is read from what is published, so one that was killed goes on
where it was, and two side by side, or one beside a schedule, wait for each other partition by partition.
"""

import logging
from datetime import UTC, datetime

from prefect import flow

from flows.build import build
from flows.workers import below, run_apart
from negset import building as rooms
from negset.errors import ContractError, listed
from negset.periods.attempting import attempt_build
from negset.periods.choosing import Only, chosen, holes
from negset.periods.expected import (
    check_carriers,
    expected_partitions,
    named_partition,
    newest_partition,
    partition_config,
    partitions_between,
)
from negset.periods.status import DatasetStatus, read_status
from schemas.config import BuildConfig
from tasks.freshness import tell_fresh
from tasks.partitions import show_status
from tasks.place import Place
from tasks.sets import bring_set

_log = logging.getLogger("negset.backfill")


class HolesLeft(ContractError):  # noqa: N818 - what is left, not a malfunction
    """A backfill is through, and partitions that are expected are not there."""


@flow(name="partition", flow_run_name="{config.name}/{key}")
def build_partition(config: BuildConfig, key: str, only: Only = "", backfill: str = "", force: bool = False) -> str:
    """Build the partition `key` of the dataset `config` and give its version; empty where nothing was to be done.

    With `force` it is built whatever its state: what is cached stays cached.
    """
    own = partition_config(config, named_partition(config.partitions, key))
    place = Place()
    bring_set(place, own.set_name)
    store, home = place.open_store(), place.sets_folder() / own.set_name
    return attempt_build(own, home, store, lambda one: build(one).fingerprint, only, backfill, force=force)


@flow(name="backfill", flow_run_name="backfill {config.name}")
def backfill(
    config: BuildConfig, first: str = "", last: str = "", only: Only = "", max_parallel: int = 1
) -> DatasetStatus:
    """Build the partitions from `first` to `last` that are not up to date, `max_parallel` at a time, oldest first.

    One that fails does not stop the others. Raises HolesLeft where a partition of the range is missing in the end,
    after everything that can be built was.
    """
    before = dataset_status(config, first, last)
    for one in before.partitions[:1]:  # a recipe that cannot work says so once, not for every partition
        rooms.bind(partition_config(config, named_partition(config.partitions, one.key)))
    todo = chosen(before.partitions, only)
    _log.info("%s: %d of %d partitions to build", config.name, len(todo), len(before.partitions))
    label = datetime.now(UTC).isoformat(timespec="seconds")
    pinned = bool(config.encoder.pin or config.mine.bm25.pin)
    # What is pinned is that of the first: which one that is must not depend on who is quicker.
    alone = len(todo) if max_parallel == 1 else int(pinned and bool(todo))
    for key in todo[:alone]:
        _build_one(config, key, only, label)
    run_apart(_build_below, [(config, key, only, label) for key in todo[alone:]], max_parallel)
    after = dataset_status(config, first, last)
    show_status(after)
    if after.fresh:
        tell_fresh(config.name, after.newest or "")
    left = holes(after)
    if left:
        named = listed([f"{one.key} ({one.state})" for one in left], 10)
        message = f"{len(left)} of {len(after.partitions)} partitions of {config.name!r} are holes: {named}"
        raise HolesLeft(message)
    return after


@flow(name="partition-status")
def partition_status(config: BuildConfig, first: str = "", last: str = "") -> DatasetStatus:
    """Say how the partitions from `first` to `last` stand, and show it as an artifact."""
    status = dataset_status(config, first, last)
    show_status(status)
    return status


def dataset_status(config: BuildConfig, first: str = "", last: str = "") -> DatasetStatus:
    """Say how the partitions from `first` to `last` stand, of all that are expected now."""
    check_carriers(config)
    now = datetime.now(UTC)
    expected = expected_partitions(config.partitions, now)
    between, newest = partitions_between(expected, first, last), newest_partition(config.partitions, expected)
    place = Place()
    for one in between:
        bring_set(place, partition_config(config, one).set_name)
    return read_status(config, between, place.open_store(), place.sets_folder(), now, newest)


def _build_below(context: bytes, config: BuildConfig, key: str, only: Only, label: str) -> str:
    """Build one partition in a worker process."""
    with below(context):
        return build_partition(config, key, only, label)


def _build_one(config: BuildConfig, key: str, only: Only, label: str) -> None:
    """Build one partition here; its failure is in its record and in the log, and the next one's turn comes."""
    try:
        version = build_partition(config, key, only, label)
        _log.info("%s/%s: %s", config.name, key, version or "up to date")
    except Exception as error:  # whatever it is, it is this partition's alone
        _log.warning("%s/%s: %s: %s", config.name, key, type(error).__name__, error)
