"""Build one partition, unless it is up to date by the time it is this builder's turn."""

from collections.abc import Callable
from pathlib import Path

from negset.periods.attempts import begin_attempt, building
from negset.periods.choosing import Only, needs_build
from negset.periods.inputs import fingerprints
from negset.periods.staleness import beside_digest
from negset.periods.status import held_status
from negset.store import Store
from schemas.config import BuildConfig

Build = Callable[[BuildConfig], str]
"""Build and publish a set, and give its version."""


def attempt_build(
    config: BuildConfig,
    home: Path,
    store: Store,
    build: Build,
    only: Only = "",
    backfill: str = "",
    *,
    force: bool = False,
) -> str:
    """Let `build` make the partition of `config`, whose folder is `home`; empty where it needs none.

    Whoever builds it already is waited for, and what he leaves is looked at again. How it ends is recorded; an
    attempt whose process dies stays open. With `force` it is built whatever its state.
    """
    with building(home):
        if not force and not needs_build(held_status(config, home, store).state, only):
            return ""
        source = fingerprints({config.partition: config})[config.partition].fingerprint
        record = begin_attempt(home, source=source, beside=beside_digest(config), backfill=backfill)
        try:
            version = build(config)
        except Exception as error:
            record.failed(error)
            raise
        record.published(version)
        return version
