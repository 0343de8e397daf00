"""How every expected partition of a dataset stands, decided from what is published and from fingerprints.

A state is that of the partition's own data: what was built last, or when, makes no other partition look fresh.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from negset.errors import ArtifactError
from negset.periods.attempts import Attempt, is_building, read_attempts
from negset.periods.expected import Partition, partition_config
from negset.periods.inputs import Inputs, fingerprints, with_contents
from negset.periods.staleness import changed_recipe
from negset.publishing.manifest import read_manifest
from negset.publishing.publish import read_history
from negset.publishing.reading import VERSIONS, read_latest
from negset.store import Store
from schemas.config import BuildConfig
from schemas.manifest import Record, SetManifest

REVOKED: Final = "REVOKED"
"""File in the folder of a partition that withdraws it; its text says why. No backfill builds it again."""

State = Literal["missing", "no data", "building", "failed", "published", "late data", "stale", "revoked"]


Latest = tuple[str, SetManifest] | str | None
"""The latest version and its manifest, or what is wrong with it; None where there is none."""


class PartitionStatus(Record):
    """How one partition stands; what is said of a version is said of the latest, whatever the state."""

    key: str
    state: State
    why: str = ""
    version: str | None = None
    published_at: str | None = None
    rows: int = 0
    """Negatives of the version."""
    queries: int = 0
    kept: float = 0.0
    """Share of the queries that got all of their negatives."""
    warnings: int = 0
    """Checks that did not pass and stopped nothing."""
    attempts: int = 0


class DatasetStatus(Record):
    """How the partitions of a dataset stand at a time."""

    dataset: str
    at: str
    partitions: tuple[PartitionStatus, ...]
    newest: str | None
    """The newest partition that is expected; None for a list, and where none is expected yet."""
    fresh: bool
    """Whether the newest partition is published and up to date; of a list, which has none, whether all are."""

    def counts(self) -> dict[str, int]:
        """Count the states that occur."""
        states = [one.state for one in self.partitions]
        return {state: states.count(state) for state in dict.fromkeys(states)}


def read_status(
    config: BuildConfig,
    partitions: Sequence[Partition],
    store: Store,
    sets: Path,
    at: datetime,
    newest: Partition | None = None,
) -> DatasetStatus:
    """Say how each of the `partitions` of `config` stands; `sets` is the folder of published sets. No room runs.

    `newest` is the one that makes the dataset fresh, whether it is among `partitions` or not; without one, all are.
    """
    wanted = [*partitions, *([newest] if newest and newest not in partitions else [])]
    configs = {one.key: partition_config(config, one) for one in wanted}
    homes = {key: sets / one.set_name for key, one in configs.items()}
    manifests = {key: _latest(home) for key, home in homes.items()}
    attempts = {key: read_attempts(home) for key, home in homes.items()}
    # What the source holds decides something only of what is published.
    asked = [key for key in configs if isinstance(manifests[key], tuple)]
    now = with_contents(fingerprints(configs), configs, asked, store)
    found = {key: _status(configs[key], homes[key], manifests[key], attempts[key], now[key], store) for key in configs}
    deciding = [newest.key] if newest else list(found)
    return DatasetStatus(
        dataset=config.name,
        at=at.isoformat(timespec="seconds"),
        partitions=tuple(found[one.key] for one in partitions),
        newest=newest.key if newest else None,
        fresh=bool(deciding) and all(found[key].state == "published" for key in deciding),
    )


def held_status(config: BuildConfig, home: Path, store: Store) -> PartitionStatus:
    """Say how the partition that `config` builds stands, whoever holds it: the caller does."""
    latest, attempts, key = _latest(home), read_attempts(home), config.partition
    now = with_contents(fingerprints({key: config}), {key: config}, [key] if isinstance(latest, tuple) else [], store)
    return _status(config, home, latest, attempts, now[key], store, held=True)


def _latest(home: Path) -> Latest:
    """Find the latest version in `home`."""
    try:
        version = read_latest(home)
        return None if version is None else (version, read_manifest(home / VERSIONS / version))
    except ArtifactError as error:
        return str(error)


def _status(
    config: BuildConfig,
    home: Path,
    latest: Latest,
    attempts: Sequence[Attempt],
    now: Inputs,
    store: Store,
    *,
    held: bool = False,
) -> PartitionStatus:
    last = attempts[-1] if attempts else None
    if not held and is_building(home):
        state, why = _being_built(last)
    else:
        state, why = _verdict(config, home, latest, last, now, store)
    known = {"key": config.partition, "state": state, "why": why, "attempts": last.n if last else 0}
    if not isinstance(latest, tuple):
        return PartitionStatus.model_validate(known)
    version, manifest = latest
    queries = manifest.counts.queries
    moved = [entry.published_at for entry in read_history(home) if entry.id == version]
    return PartitionStatus.model_validate(
        {
            **known,
            "version": version,
            "published_at": moved[-1] if moved else None,
            "rows": manifest.counts.rows["negatives"],
            "queries": queries.total,
            "kept": round(queries.kept / queries.total, 4) if queries.total else 0.0,
            "warnings": sum(not check.passed for check in manifest.validation.checks),
        }
    )


def _being_built(last: Attempt | None) -> tuple[State, str]:
    return "building", f"since {last.started_at}" if last and last.outcome == "started" else ""


def _verdict(
    config: BuildConfig,
    home: Path,
    latest: Latest,
    last: Attempt | None,
    now: Inputs,
    store: Store,
) -> tuple[State, str]:
    if (home / REVOKED).is_file():
        return "revoked", (home / REVOKED).read_text(encoding="utf-8").strip()
    if not isinstance(latest, tuple):
        return _unpublished(latest or "", last, now)
    version, manifest = latest
    gone = now.no_data or now.wrong
    beside = last.beside if last and last.version == version else ""
    late = "" if gone else _late(manifest, now)
    recipe = changed_recipe(config, manifest, manifest.source.content if gone else now.content, store, beside)
    if not late and not recipe:
        return "published", f"its source was not compared: {gone}" if gone else ""
    if last is not None and last.outcome == "failed" and last.source == now.fingerprint:
        return "failed", _reason(last)
    if late:
        return "late data", "; ".join([late, *recipe])
    return "stale", "; ".join(recipe)


def _unpublished(wrong: str, last: Attempt | None, now: Inputs) -> tuple[State, str]:
    """Tell apart what was never built, what has nothing to be built from, and what failed."""
    if wrong:
        return "failed", wrong
    if now.no_data:
        return "no data", now.no_data
    if last is None or last.outcome == "started":
        return "missing", "" if last is None else f"attempt {last.n} was cut off: its process died"
    if last.outcome == "no data":
        # What came since may be for this partition: nobody knows until it is built.
        return ("no data", last.why) if last.source == now.fingerprint else ("missing", "data came since")
    return ("failed", _reason(last)) if last.outcome == "failed" else ("missing", "its version is gone")


def _reason(last: Attempt) -> str:
    return f"{last.error}: {last.why}"


def _late(manifest: SetManifest, now: Inputs) -> str:
    """Say which tables hold more, or other, rows than when `manifest` was published; nothing where none does."""
    if manifest.source.content == now.content:
        return ""
    changes = [
        f"{name} {manifest.source.counts.get(name, 0):,} -> {count:,}"
        for name, count in (now.counts or {}).items()
        if manifest.source.counts.get(name) != count
    ]
    return f"{', '.join(changes) or 'rows changed'} since it was published"
