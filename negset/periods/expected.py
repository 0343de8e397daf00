"""Which partitions a configuration expects at some time, and the build of each of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from negset.errors import ConfigError, hint, listed
from negset.periods.calendar import Period, period_at, periods, read_period
from schemas.config import BuildConfig
from schemas.partitions import NAMED, PartitionsConfig, SliceConfig

LATEST: Final = "latest"
"""The newest partition that is expected, in the place of a name."""
_PATHS: Final = ("path", "corpus", "queries", "qrels")
_PLACE: Final = re.compile(r"\{partition(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Partition:
    """One partition of a dataset; `period` is None where partitions have names."""

    key: str
    period: Period | None = None


def expected_partitions(wanted: PartitionsConfig, now: datetime) -> list[Partition]:
    """List the partitions that should be there at `now`: names in their order, or the periods that are over.

    Raises ConfigError where there are none at all declared, or `start` or `end` is no period of the kind.
    """
    if wanted.kind == "none":
        message = "the configuration has no section [partitions]; say which partitions there are, and what carries them"
        raise ConfigError(message)
    if wanted.kind in NAMED:
        return [Partition(name) for name in wanted.names]
    start = _own_period(wanted.start, wanted.kind, "partitions.start").start
    end = _own_period(wanted.end, wanted.kind, "partitions.end").end if wanted.end else now
    if wanted.end and end <= start:
        message = f"partitions.end = {wanted.end!r} is before partitions.start = {wanted.start!r}"
        raise ConfigError(message)
    return [Partition(period.key, period) for period in periods(wanted.kind, start, min(end, now))]


def _own_period(text: str, kind: str, option: str) -> Period:
    found = read_period(text, option)
    own = period_at(kind, found.start)
    if own != found:
        message = f"{option} = {text!r} is not the name of a {kind} partition, such as {own.key!r}"
        raise ConfigError(message)
    return found


def partitions_between(expected: Sequence[Partition], first: str, last: str) -> list[Partition]:
    """Give those of `expected` from `first` to `last`, both included; empty means no limit.

    Limits of periods may be of any kind: `2024` covers the months of 2024. Of names, those between in their order.
    Raises ConfigError for what is no such limit.
    """
    if not expected:
        return []
    if expected[0].period is None:
        keys = [partition.key for partition in expected]
        start = _place(first, keys, "--from") if first else 0
        end = _place(last, keys, "--to") if last else len(keys) - 1
        return list(expected[start : end + 1])
    after = read_period(first, "--from").start if first else None
    before = read_period(last, "--to").end if last else None
    if after and before and before <= after:
        message = f"--to {last} is before --from {first}"
        raise ConfigError(message)
    return [one for one in expected if one.period and _within(one.period, after, before)]


def _place(name: str, keys: Sequence[str], option: str) -> int:
    if name not in keys:
        message = f"{option} {name!r} is no partition{hint(name, keys)}; there are {listed(list(keys), 12)}"
        raise ConfigError(message)
    return keys.index(name)


def _within(period: Period, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or period.start >= after) and (before is None or period.end <= before)


def find_partition(expected: Sequence[Partition], key: str) -> Partition:
    """Give the partition of the name `key`, or the newest for `latest`; raise ConfigError where there is none."""
    if key == LATEST and expected:
        return expected[-1]
    by_key = {partition.key.lower(): partition for partition in expected}
    found = by_key.get(key.lower())
    if found is None:
        keys = [partition.key for partition in expected]
        message = f"partition {key!r} is not expected{hint(key, keys)}; there are {listed(keys, 12) or 'none yet'}"
        raise ConfigError(message)
    return found


def newest_partition(wanted: PartitionsConfig, expected: Sequence[Partition]) -> Partition | None:
    """Give the newest of `expected`; a plain list has none."""
    return expected[-1] if expected and wanted.kind != "list" else None


def named_partition(wanted: PartitionsConfig, key: str) -> Partition:
    """Give the partition called `key`, whether it is expected yet or not."""
    return Partition(key, None if wanted.kind in NAMED else _own_period(key, wanted.kind, "partition"))


def check_carriers(config: BuildConfig) -> None:
    """Raise ConfigError where nothing carries the partitions of `config`, or its source says itself what they say."""
    wanted, source = config.partitions, config.source
    patterned = any(_PLACE.search(getattr(source, name)) for name in _PATHS)
    if wanted.kind != "none" and not (patterned or wanted.column or wanted.as_of):
        message = (
            f"partitions of {config.name!r} have no carrier: put {{partition}} into a path, or give column or as_of"
        )
        raise ConfigError(message)
    twice = ["source.as_of"] if source.as_of and wanted.as_of else []
    twice += ["source.slice"] if source.slice.column and wanted.column else []
    if twice:
        message = f"{config.name!r}: {listed(twice)} is given, but each partition sets its own; leave it out"
        raise ConfigError(message)


def partition_config(config: BuildConfig, partition: Partition) -> BuildConfig:
    """Give the build of one `partition` of `config`: its paths, its rows, its time, its name."""
    wanted, source = config.partitions, config.source
    changes: dict[str, object] = {name: _placed(partition, getattr(source, name)) for name in _PATHS}
    if wanted.column:
        changes["slice"] = _slice(wanted.column, partition)
    if wanted.as_of and partition.period:
        changes["as_of"] = (partition.period.end - timedelta(microseconds=1)).isoformat(timespec="microseconds")
    return config.model_copy(update={"source": source.model_copy(update=changes), "partition": partition.key})


def _placed(partition: Partition, path: str) -> str:
    """Write `partition` into `path`: its name, or its first moment in the form of strftime, such as `%Y/%m`."""

    def written(place: re.Match[str]) -> str:
        if place[1] is None:
            return partition.key
        if partition.period is None:
            message = f"{path!r} has {place[0]}, but partitions with names have no time; write {{partition}}"
            raise ConfigError(message)
        return partition.period.start.astimezone(UTC).strftime(place[1])

    return _PLACE.sub(written, path)


def _slice(column: str, partition: Partition) -> SliceConfig:
    if partition.period is None:
        return SliceConfig(column=column, equals=partition.key)
    period = partition.period
    return SliceConfig(column=column, start=period.start.isoformat(), end=period.end.isoformat())
