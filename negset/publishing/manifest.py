"""Say what a set is: the manifest, its canonical bytes, and the version id that is their digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from negset.errors import ArtifactError
from negset.fingerprint import file_digest, identity, rows_digest
from negset.mining.query_choice import pair_stats_digest
from negset.mining.recipe import BoundRecipe, recipe_fingerprint
from negset.publishing.flat_view import split_slug
from negset.store import MANIFEST
from negset.tables import read_table
from schemas.config import BuildConfig
from schemas.expectations import GateReport, ScoreLimit
from schemas.frames import KEYS, REGISTERED, SCHEMA_VERSION, ntuples_schema
from schemas.manifest import (
    CheckOutcome,
    DataFile,
    RecipeIdentity,
    RuleIdentity,
    SetCounts,
    SetFacts,
    SetManifest,
    ValidationOutcome,
)

ID_LENGTH = 16
_LIMITS = {"max_score": "threshold", "margin": "margin", "percent_of_positive": "share"}
"""Rules that set a threshold, and the option that holds it."""
_SOURCE_PLACES = ("path", "corpus", "queries", "qrels")
_ENCODER_PLACES = ("query_vectors", "document_vectors", "url", "api_key_env")
_RUN_PLACES = ("path",)
"""Options that say where something lies: the same thing elsewhere is the same set."""


def describe_set(
    facts: SetFacts, folder: Path, counts: SetCounts, report: GateReport, known: Mapping[str, str] | None = None
) -> SetManifest:
    """Give the manifest of the set staged in `folder`, which `report` let pass.

    `known` gives the digest of the rows for the digest of a file's bytes; the rows of other files are read.
    """
    splits = {split_slug(split): split for split in counts.rows_by_split["ntuples"]}
    paths = sorted((folder / "data").rglob("*.parquet"))
    # Two at a time: hashing and decoding leave Python's lock, and a file is at most a million rows.
    with ThreadPoolExecutor(2) as workers:
        files = tuple(workers.map(lambda path: describe_file(folder, path, splits, known or {}), paths))
    return SetManifest(
        **{name: getattr(facts, name) for name in SetFacts.model_fields},
        schema_version=SCHEMA_VERSION,
        counts=counts,
        files=files,
        validation=ValidationOutcome(
            expected=report.expected,
            evaluated=report.evaluated,
            checks=tuple(
                CheckOutcome(name=check.name, severity=check.severity, passed=check.passed, unexpected=check.unexpected)
                for check in report.checks
            ),
        ),
    )


def describe_file(folder: Path, path: Path, splits: dict[str, str], known: Mapping[str, str]) -> DataFile:
    """Give the record of the Parquet file at `path` below `folder`; `splits` gives the split of a folder's name."""
    place = path.relative_to(folder)
    table = place.parts[1]
    digest = file_digest(path)
    return DataFile(
        path=place.as_posix(),
        table=table,
        split=splits[place.parts[2]] if table == "ntuples" else None,
        bytes=path.stat().st_size,
        rows=pq.read_metadata(path).num_rows,
        sha256=digest,
        rows_sha256=known[digest] if digest in known else table_digest(read_table(path), table),
    )


def table_digest(rows: pl.DataFrame, table: str) -> str:
    """Give the digest of the `rows` of a file of `table`."""
    return rows_digest(rows, KEYS[table] or rows.columns)


def manifest_bytes(manifest: SetManifest) -> bytes:
    """Write `manifest` as JSON for machines and people: sorted keys, no NaN, one value one text."""
    return canonical_bytes(manifest.model_dump(mode="json"))


def canonical_bytes(plain: Mapping[str, object]) -> bytes:
    """Write the fields `plain` of a manifest in the one way in which they are written."""
    return f"{json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode()


def version_id(manifest: SetManifest) -> str:
    """Give the id of the version that `manifest` describes: the first 16 hex digits of its digest."""
    return hashlib.sha256(manifest_bytes(manifest)).hexdigest()[:ID_LENGTH]


def read_manifest(folder: Path) -> SetManifest:
    """Read the manifest of the version in `folder`; raise ArtifactError where there is none."""
    path = folder / MANIFEST
    try:
        return SetManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"no negative set in {folder}: {path.name}: {error.strerror}"
        raise ArtifactError(message) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{path} is no manifest that this version of negset reads: {where or 'JSON'}: {first['msg']}"
        raise ArtifactError(message) from error


def config_identity(config: BuildConfig, teachers: Sequence[str] = ()) -> dict[str, object]:
    """Give what of `config` decides rows, without places: no path, URL, or name of a credential.

    What lies in those places is named by content elsewhere in the manifest. Of the teachers, those that were asked.
    """
    kept = {
        **identity(config),
        "source": _without(identity(config.source), _SOURCE_PLACES),
        "encoder": {
            **_without(identity(config.encoder), _ENCODER_PLACES),
            "model": _name_only(config.encoder.model),
        },
        "recipe": {
            **identity(config.recipe),
            "name": Path(config.recipe.name).stem,
            "pair_stats": pair_stats_digest(config.recipe),
        },
        "mine": {**identity(config.mine), "run": _without(identity(config.mine.run), _RUN_PLACES)},
        "teach": {teacher: _placeless(identity(getattr(config.teach, teacher))) for teacher in teachers},
    }
    plain: dict[str, object] = json.loads(json.dumps(kept, allow_nan=False))
    return plain


def recipe_identity(recipe: BoundRecipe, seed: int) -> RecipeIdentity:
    """Give `recipe` in its canonical form: every rule with every option."""
    rules = tuple(
        RuleIdentity(rule=step.rule.name, version=step.rule.version, options=step.params.model_dump(mode="json"))
        for step in recipe.rules
    )
    return RecipeIdentity(
        name=recipe.name, fingerprint=recipe_fingerprint(recipe), by=recipe.by, seed=seed, rules=rules
    )


def score_limits(recipe: RecipeIdentity) -> tuple[ScoreLimit, ...]:
    """Give the thresholds that `recipe` sets on the published score, for the gates to hold negatives to."""
    return tuple(
        ScoreLimit.model_validate({"kind": step.rule, "value": step.options[_LIMITS[step.rule]]})
        for step in recipe.rules
        if step.rule in _LIMITS and step.options.get("by", "") in ("", recipe.by)
    )


def _placeless(section: Mapping[str, object]) -> dict[str, object]:
    """Leave the places of a teacher out of its `section`, and of the encoder in it."""
    kept = {name: value for name, value in section.items() if name not in (*_ENCODER_PLACES, "path")}
    inner = {name: _placeless(value) for name, value in kept.items() if isinstance(value, Mapping)}
    named = {"model": _name_only(str(kept["model"]))} if "model" in kept else {}
    return {**kept, **inner, **named}


def _without(section: dict[str, object], options: tuple[str, ...]) -> dict[str, object]:
    return {name: value for name, value in section.items() if name not in options}


def _name_only(model: str) -> str:
    """Give `model` unless it is a folder of this machine, whose content the encoder's fingerprint names."""
    place = model.startswith(("/", ".", "~")) or "\\" in model or "://" in model or Path(model).is_dir()
    return "" if place else model


def registered_schema(table: str, manifest: SetManifest) -> pa.Schema:
    """Give the Arrow schema that `table` has in the set of `manifest`; raise ArtifactError for a table unknown here."""
    if table != "ntuples" and table not in REGISTERED:
        message = f"{MANIFEST} names a table {table!r}, which this version of negset does not know"
        raise ArtifactError(message)
    return ntuples_schema(manifest.counts.negatives_wanted) if table == "ntuples" else REGISTERED[table]
