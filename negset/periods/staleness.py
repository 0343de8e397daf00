"""Why a published partition is no longer what a build would make now: by fingerprints and digests alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from negset import building
from negset.encoders.encoder import encoder_fingerprint, fitted_content
from negset.errors import NegsetError
from negset.fingerprint import file_digest, fingerprint
from negset.gates.evaluation import evaluation_content
from negset.mining import cells
from negset.mining.miner import find_miner
from negset.mining.recipe import BoundRecipe
from negset.publishing.manifest import config_identity, recipe_identity
from negset.store import Store
from negset.teaching.teacher import find_teacher
from schemas.config import BuildConfig
from schemas.manifest import SetManifest

_SHOWN = 4
"""Options named in a reason; the others are counted."""


def beside_digest(config: BuildConfig) -> str:
    """Hash the files that decide whether a set is published and that its manifest does not name."""
    return fingerprint("beside", evaluation_content(config.gates.evaluation))


def changed_recipe(
    config: BuildConfig, manifest: SetManifest, content: str, store: Store, beside: str = ""
) -> list[str]:
    """Say what differs between the build of `config` and the published `manifest`, its source left out.

    `content` is that of the source now, `beside` the digest of the other files when it was published. Empty where a
    build would make the same again.
    """
    bound = building.bind(config)
    return [
        *_changed_options(config, bound, manifest),
        *_changed_code(bound, manifest),
        *_changed_files(config, manifest, content, store),
        *(["gates.evaluation holds other texts"] if beside and beside != beside_digest(config) else []),
    ]


def _changed_options(config: BuildConfig, bound: BoundRecipe, manifest: SetManifest) -> Iterator[str]:
    before, now = _flat(manifest.config), _flat(config_identity(config, bound.teachers))
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        named = ", ".join(f"{name} {before.get(name)} -> {now.get(name)}" for name in changed[:_SHOWN])
        yield named if len(changed) <= _SHOWN else f"{named} and {len(changed) - _SHOWN} more options"
    elif recipe_identity(bound, config.seed) != manifest.recipe:
        yield f"the rules of recipe {manifest.recipe.name!r} changed"


def _flat(values: Mapping[str, object], above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in values.items():
        place = f"{above}{name}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{place}.")
        else:
            found[place] = value
    return found


def _changed_code(bound: BoundRecipe, manifest: SetManifest) -> Iterator[str]:
    """Compare the versions that their authors raise where rows change."""
    rooms = {"select": building.SELECT_VERSION, "cells": cells.VERSION, "publish": building.PUBLISH_VERSION}
    rules = {step.rule.name: step.rule.version for step in bound.rules}
    for what, before, now in (("room", manifest.builder.rooms, rooms), ("rule", manifest.builder.rules, rules)):
        yield from (
            f"{what} {name} is of version {now[name]}, was {before[name]}"
            for name in sorted(before)
            if name in now and now[name] != before[name]
        )
    miners = {name: (facts.get("version"), find_miner(name).VERSION) for name, facts in manifest.miners.items()}
    teachers = {
        name: (facts.get("version"), find_teacher(name).VERSION)
        for name, facts in manifest.teachers.items()
        if name in bound.teachers
    }
    for what, versions in (("miner", miners), ("teacher", teachers)):
        yield from (
            f"{what} {name} is of version {now}, was {before}"
            for name, (before, now) in versions.items()
            if before != now
        )


def _changed_files(config: BuildConfig, manifest: SetManifest, content: str, store: Store) -> Iterator[str]:
    """Compare the encoder and the run, which are files of their own."""
    if manifest.encoder is not None and manifest.encoder.backend == config.encoder.backend and content:
        try:
            fitted = fitted_content(config.encoder, content, store, config.name)
            encoder = encoder_fingerprint(config.encoder, fitted)
        except NegsetError as error:
            yield f"the encoder cannot be told: {error}"
        else:
            if encoder != manifest.encoder.fingerprint and content == manifest.source.content:
                yield "the encoder's files changed"
    run = manifest.miners.get("run", {}).get("sha256")
    if run and config.mine.run.path and _digest(config.mine.run.path) != run:
        yield "the file of mine.run changed"


def _digest(path: str) -> str:
    try:
        return file_digest(Path(path))
    except OSError:
        return ""
