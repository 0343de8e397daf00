"""Run the gates on content over a staged set, and read what they need."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from negset.errors import ArtifactError, ConfigError, hint
from negset.gates.contamination import contamination_checks
from negset.gates.drift import Version, drift_checks, first_version, settings_of, unreadable
from negset.gates.evaluation import all_evaluation
from negset.gates.hubs import hub_checks
from negset.gates.licence import licence_checks
from negset.gates.poison import poison_checks
from negset.gates.quality import quality_checks
from negset.gates.shortcut import shortcut_checks
from negset.mining.recipe import bind_recipe, load_recipe, recipe_fingerprint
from negset.publishing.manifest import config_identity, read_manifest
from negset.publishing.parts import read_parts
from negset.publishing.reading import VERSIONS
from negset.snapshot import Snapshot
from negset.text import document_texts
from schemas.config import BuildConfig
from schemas.expectations import CheckResult
from schemas.manifest import SetCounts


def content_checks(config: BuildConfig, staged: Path, selection: Path, snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Say what the content gates of `config` find in the set `staged`, whose candidates are in `selection`.

    Raises ConfigError for a column that no document has, InputError for an evaluation file that cannot be read.
    """
    gates = config.gates
    documents = _documents(staged)
    queries = read_parts(staged, "queries")
    evaluation = all_evaluation(snapshot.queries(), gates.evaluation)
    texts = documents.select("doc_id", "text")
    licensed = _with_column(texts, snapshot, gates.licence_column, "licence") if gates.licence_column else texts
    return (
        *hub_checks(selection, staged, gates.hubs),
        *contamination_checks(queries, texts.rename({"doc_id": "id"}), evaluation, gates),
        *shortcut_checks(documents, gates.shortcut, config.seed),
        *licence_checks(licensed.drop("text"), config.publish.licence, gates),
        *_poison(config, queries, texts, staged, snapshot),
        *quality_checks(snapshot, read_parts(staged, "fates"), gates.poison),
    )


def against_previous(
    config: BuildConfig, staged: Path, counts: SetCounts, source: Mapping[str, int], home: Path, previous: str | None
) -> tuple[CheckResult, ...]:
    """Compare the set `staged`, of a `source` of so many rows by table, with the version `previous` in `home`."""
    if config.gates.drift.policy == "off":
        return ()
    if previous is None:
        return first_version()
    folder = home / VERSIONS / previous
    try:
        manifest = read_manifest(folder)
    except ArtifactError as error:
        return unreadable(previous, str(error))
    bound = bind_recipe(load_recipe(config.recipe), config.mine.miners, config.seed)
    earlier = settings_of(manifest.config, manifest.recipe.fingerprint)
    asked = settings_of(config_identity(config, bound.teachers), recipe_fingerprint(bound))
    before = Version(folder, manifest.counts, manifest.source.counts, earlier)
    now = Version(staged, counts, source, asked)
    return drift_checks(now, before, previous, config.gates.drift)


def _documents(staged: Path) -> pl.DataFrame:
    """Give doc_id, text, and whether it is a positive and a negative of some query, of each document of the set."""
    documents = read_parts(staged, "documents")
    sides = {
        side: pl.col("doc_id").is_in(read_parts(staged, table, ["doc_id"]).get_column("doc_id").unique().implode())
        for side, table in (("positive", "positives"), ("negative", "negatives"))
    }
    return documents.select("doc_id", text=document_texts(documents), **sides)


def _poison(
    config: BuildConfig, queries: pl.DataFrame, documents: pl.DataFrame, staged: Path, snapshot: Snapshot
) -> tuple[CheckResult, ...]:
    options = config.gates.poison
    nothing = pl.lit(None, dtype=pl.String)
    asked, told = queries.with_columns(property=nothing), documents.with_columns(property=nothing, source=nothing)
    if options.property:
        asked = _values(queries, options.property, "property")
        told = _with_column(documents, snapshot, options.property, "property", required=not asked["property"].count())
        told = told.with_columns(source=nothing)
    if options.source:
        told = _with_column(told.drop("source"), snapshot, options.source, "source")
    return poison_checks(asked, read_parts(staged, "positives", ["query_id", "doc_id"]), told, options)


def _with_column(
    documents: pl.DataFrame, snapshot: Snapshot, column: str, name: str, *, required: bool = True
) -> pl.DataFrame:
    """Give `documents` with the source's `column` as `name`; where it is `required`, some document must have it."""
    rows = snapshot.document_columns("doc_id", "metadata").join(documents.select("doc_id"), on="doc_id", how="semi")
    read = _values(rows, column, name)
    if required and not read.get_column(name).count():
        known = sorted(_record(next(iter(rows.get_column("metadata").drop_nulls()), None)))
        message = f"[gates] names the column {column!r}, which no document has{hint(column, known)}"
        message += f"; documents have {', '.join(known) or 'no columns beyond the usual'}"
        raise ConfigError(message)
    return documents.join(read.select("doc_id", name), on="doc_id", how="left", maintain_order="left")


def _values(rows: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """Give `rows` with what `column` of their metadata says as the text column `name`."""
    values = [_record(text).get(column) for text in rows.get_column("metadata")]
    texts = [None if value is None else str(value) for value in values]
    return rows.with_columns(pl.Series(name, texts, dtype=pl.String))


def _record(text: str | None) -> Mapping[str, object]:
    read = json.loads(text) if text else {}
    return read if isinstance(read, dict) else {}
