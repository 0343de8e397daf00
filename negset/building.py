"""The rooms of a build, as functions of references: what each is keyed by, reads and commits.

Keys are made from contents, options and versions, so that what a plan says and what a cache holds cannot differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import polars as pl

from negset.encoders.encoder import encoder_fingerprint, fitted_content
from negset.errors import ArtifactError, ConfigError, ValidationFailed
from negset.fingerprint import file_digest, fingerprint, identity
from negset.gates.dropping import check_dropping, drop_identity
from negset.gates.evaluation import evaluation_content
from negset.gates.previous import find_previous
from negset.indexes.kind import EXACT, check_options
from negset.indexes.opened import open_indexes
from negset.indexes.preparing import indexes_fingerprint
from negset.indexes.report import IndexReport, read_report
from negset.mining import budget, ledger, query_choice, recipe
from negset.mining import cells as mining_cells
from negset.mining.miner import MiningInputs, find_miner
from negset.mining.statistics import open_statistics
from negset.mining.times import grace_of
from negset.periods.own_counts import own_counts
from negset.progress import Progress, no_progress
from negset.publishing.manifest import config_identity, recipe_identity, score_limits
from negset.snapshot import Snapshot, open_snapshot
from negset.store import Store
from negset.teaching import scoring
from negset.teaching.teacher import NO_SECRETS, find_teacher
from negset.text import document_texts
from negset.vectors import open_vectors
from schemas.config import BuildConfig
from schemas.expectations import Expectation, TimeLimit, set_expectations
from schemas.frames import SCHEMA_VERSION
from schemas.manifest import Builder, EncoderIdentity, SetCounts, SetFacts, SourceIdentity
from schemas.refs import EncoderRef, LedgerRefs, MiningRefs, ReportRef, ScoresRef, SelectionRef, SnapshotRef, VectorsRef

SELECT_VERSION: Final = 2
VALIDATE_VERSION: Final = 2
PUBLISH_VERSION: Final = 1
"""Raised when the room gives other rows, checks or papers for the same input."""

GUIDE: Final = "guide"
"""The teacher that is an encoder."""
UNPUBLISHED: Final = "unpublished"
"""Folder of a selection whose candidates are kept for the gates and the page alone."""


def role_texts(snapshot: Snapshot, role: str) -> tuple[list[str], list[str]]:
    """Give ids and texts of the queries of `snapshot`, or of its documents partition by partition, sorted by id."""
    if role == "query":
        queries = snapshot.queries()
        return queries["query_id"].to_list(), queries["text"].to_list()
    documents = pl.concat([snapshot.documents(partition) for partition in snapshot.partitions()])
    return documents["doc_id"].to_list(), document_texts(documents).to_list()


def bind(config: BuildConfig) -> recipe.BoundRecipe:
    """Read the recipe of `config` and check it against its rules and miners, before any room runs.

    Raises ConfigError for an option of the index that its kind does not have, for a budget of queries without vectors,
    for options of a teacher that the recipe asks for and that cannot work, and for a dataset of which no partition
    is named.
    """
    if config.partitions.kind != "none" and not config.partition:
        message = f"{config.name!r} has partitions: name one with --partition (latest for the newest), or backfill all"
        raise ConfigError(message)
    check_options(config.mine.dense)
    query_choice.check_choice(config)
    check_dropping(config)
    bound = recipe.bind_recipe(recipe.load_recipe(config.recipe), config.mine.miners, config.seed)
    scored = [miner for miner in config.mine.miners if miner not in (*recipe.UNSCORED_MINERS, bound.by)]
    query_choice.check_reference(config.recipe, (*scored, *bound.teachers))
    for teacher in bound.teachers:
        find_teacher(teacher).check(config.teach, config.mine)
    return bound


def open_inputs(config: BuildConfig, refs: MiningRefs, store: Store, *, with_vectors: bool = True) -> MiningInputs:
    """Open what the miners of `config` read; without vectors it is enough to list cells."""
    queries, documents = refs.query_vectors, refs.document_vectors
    inputs = MiningInputs(
        snapshot=open_snapshot(store, refs.snapshot),
        config=config.mine,
        seed=config.seed,
        dataset=config.name,
        encoder_content=refs.encoder.content if refs.encoder else "",
        query_vectors=open_vectors(store, queries) if queries and with_vectors else None,
        document_vectors=open_vectors(store, documents) if documents and with_vectors else None,
        statistics=open_statistics(store, refs.statistics) if refs.statistics else None,
        indexes=open_indexes(store, refs.indexes) if refs.indexes else None,
    )
    planned = mining_budget(config, inputs, vector_width(store, documents))
    return replace(inputs, memory=planned.kept, block=planned.block)


def mining_budget(config: BuildConfig, inputs: MiningInputs, dimensions: int) -> budget.Budget:
    """Cut the work of mining so that it fits into the memory that `config` gives."""
    load = budget.measure_load(inputs.snapshot, mining_cells.deepest_lists(inputs), dimensions)
    return budget.plan_budget(budget.memory_bytes(config.resources.memory), load, config.mine.query_block)


def vector_width(store: Store, vectors: VectorsRef | None) -> int:
    """Give the dimensions of `vectors`, 0 where there are none."""
    if vectors is None:
        return 0
    return int(str(store.manifest(vectors.kind, vectors.fingerprint).facts["dimensions"]))


def uses_indexes(config: BuildConfig) -> bool:
    """Tell whether the build of `config` prepares indexes."""
    return "dense" in config.mine.miners and config.mine.dense.index != EXACT


def indexes_key(config: BuildConfig, refs: MiningRefs, store: Store) -> str:
    """Name the indexes of the partitions."""
    return indexes_fingerprint(open_inputs(config, refs, store, with_vectors=False))


def require_index_recall(config: BuildConfig, refs: MiningRefs, store: Store) -> None:
    """Raise ValidationFailed where the indexes find a smaller share of the exact candidates than the gate asks for."""
    report = index_report(refs, store)
    floor = config.gates.min_index_recall
    if report is not None and report.recall < floor:
        message = (
            f"the index {report.kind!r} finds {report.recall:.4f} of the exact candidates ({report.sample} sampled "
            f"queries, depth {config.mine.depth}), gates.min_index_recall is {floor:g}; nothing was published. "
            f"Settings: {report.settings}. Raise mine.dense.target_recall or lift the setting, or use 'exact'"
        )
        raise ValidationFailed(message)


def index_report(refs: MiningRefs, store: Store) -> IndexReport | None:
    """Say what the indexes of a build are and find; None where there are none."""
    return read_report(store, refs.indexes) if refs.indexes else None


def cells_key(config: BuildConfig, refs: MiningRefs, miner: str, store: Store) -> str:
    """Name the cells of `miner`."""
    return mining_cells.cells_fingerprint(open_inputs(config, refs, store, with_vectors=False), miner)


def selection_key(config: BuildConfig, refs: LedgerRefs) -> str:
    """Name the selection that `config` makes from what was mined. No partition, block or path is in it."""
    return fingerprint(
        "selection",
        SELECT_VERSION,
        SCHEMA_VERSION,
        refs.mining.snapshot.content,
        {miner: cells.content for miner, cells in refs.cells.items()},
        list(config.mine.miners),
        list(config.mine.splits),
        config.mine.unlabelled,
        refs.duplicates.content if refs.duplicates else "",
        {teacher: scores.content for teacher, scores in refs.scores.items()},
        recipe.recipe_fingerprint(bind(config)),
        config.gates.query_leaks,
        config.publish.keep_candidates,
        *query_choice.choice_identity(config.recipe),
        *drop_identity(config.gates),
    )


def scored_blocks(
    inputs: MiningInputs,
    refs: LedgerRefs,
    store: Store,
    bound: recipe.BoundRecipe,
    progress: Progress = no_progress,
    some: range | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the candidate frames of what was mined, or of `some` blocks, with the scores that `bound` asks for."""
    blocks = ledger.candidate_blocks(inputs, refs.cells, store, bound.by, progress, some)
    return scoring.taught_blocks(blocks, refs.scores, inputs.snapshot, refs.mining.snapshot.rows, store)


def guide_encoder_of(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> str:
    """Name the guide's encoder."""
    guide = config.teach.guide.encoder
    return encoder_fingerprint(guide, fitted_content(guide, snapshot.content, store, config.name))


def scores_key(config: BuildConfig, refs: LedgerRefs, teacher: str, store: Store) -> str:
    """Name what `teacher` gives the candidates."""
    inputs = open_inputs(config, refs.mining, store, with_vectors=False)
    return scoring.scores_fingerprint(config, inputs, refs.cells, teacher, _guide_content(refs, teacher))


def teach(
    config: BuildConfig,
    refs: LedgerRefs,
    teacher: str,
    store: Store,
    progress: Progress = no_progress,
    secrets: Mapping[str, str] = NO_SECRETS,
) -> ScoresRef:
    """Let `teacher` score the candidates; `secrets` holds the credentials that its options name."""
    guide = None
    if teacher == GUIDE and refs.guide:
        guide = (open_vectors(store, refs.guide.query_vectors), open_vectors(store, refs.guide.document_vectors))
    content = _guide_content(refs, teacher)
    inputs = open_inputs(config, refs.mining, store)
    return scoring.teach(config, inputs, refs.cells, teacher, store, guide, content, progress, secrets)


def _guide_content(refs: LedgerRefs, teacher: str) -> str:
    return refs.guide.encoder.content if teacher == GUIDE and refs.guide else ""


def selection_folder(folder: Path) -> Path:
    """Give the folder with all scored candidates: that of the set's own tables, unless it does not publish them."""
    hidden = folder / UNPUBLISHED
    return hidden if hidden.is_dir() else folder


def selection_counts(store: Store, ref: SelectionRef) -> SetCounts:
    """Give what was counted when the selection of `ref` was assembled."""
    return SetCounts.model_validate(store.manifest(ref.kind, ref.fingerprint).facts["counts"])


def selection_digests(store: Store, ref: SelectionRef) -> dict[str, str]:
    """Give the digest of the rows of each file of the selection of `ref` for the digest of its bytes.

    They were taken from the rows as they were written, so that publishing need not read them again.
    """
    manifest = store.manifest(ref.kind, ref.fingerprint)
    rows = manifest.facts.get("rows_sha256")
    known = rows if isinstance(rows, dict) else {}
    return {file.sha256: str(known[file.path]) for file in manifest.files if file.path in known}


def expectations(config: BuildConfig) -> tuple[Expectation, ...]:
    """Give all that the set of `config` must satisfy, the thresholds of its recipe among it."""
    time = config.mine.time
    limit = TimeLimit(grace=grace_of(time), undated=time.undated) if time.limit else None
    return set_expectations(config.gates, score_limits(recipe_identity(bind(config), config.seed)), limit)


def previous_version(config: BuildConfig, selected: SelectionRef, store: Store, sets: Path) -> str | None:
    """Name the version below `sets` that the selection is compared with, None for the first of its name."""
    files = store.manifest(selected.kind, selected.fingerprint).files
    staged = {file.path: file.sha256 for file in files if file.path.startswith("data/")}
    return find_previous(sets / config.set_name, staged)


def report_key(config: BuildConfig, selected: SelectionRef, previous: str | None = None) -> str:
    """Name the verdict of the gates on a selection, compared with the version `previous`."""
    gates = config.gates
    return fingerprint(
        "report",
        VALIDATE_VERSION,
        selected.content,
        list(expectations(config)),
        gates,
        gates.drift.model_dump(),
        evaluation_content(gates.evaluation),
        config.publish.licence,
        config.seed,
        previous,
    )


def publication_key(selected: SelectionRef, report: ReportRef, facts: SetFacts) -> str:
    """Name the version that is published from a selection."""
    return fingerprint("publication", PUBLISH_VERSION, selected.content, report.content, facts)


def describe(config: BuildConfig, refs: LedgerRefs, store: Store) -> SetFacts:
    """Say what the set of `config` is made from, by content: no path, no time, no machine."""
    bound = bind(config)
    snapshot = refs.mining.snapshot
    return SetFacts(
        dataset=config.set_name,
        licence=config.publish.licence,
        description=config.publish.description,
        builder=Builder(
            package="negset",
            version=version("negset"),
            rooms={"select": SELECT_VERSION, "cells": mining_cells.VERSION, "publish": PUBLISH_VERSION},
            rules={step.rule.name: step.rule.version for step in bound.rules},
        ),
        config=config_identity(config, bound.teachers),
        source=_source_identity(config, snapshot, store),
        encoder=_encoder_identity(config, refs.mining.encoder, store),
        miners={miner: _miner_identity(config, refs.mining, miner, store) for miner in config.mine.miners},
        teachers={teacher: _teacher_identity(teacher, refs, store) for teacher in bound.teachers},
        recipe=recipe_identity(bound, config.seed),
    )


def source_counts(snapshot: Snapshot) -> dict[str, int]:
    """Give what was counted when the source of `snapshot` was read."""
    named = {"splits", "notes", "missing_documents", "missing_queries"}
    return {name: int(count) for name, count in snapshot.facts.model_dump(exclude=named).items()}


def _teacher_identity(teacher: str, refs: LedgerRefs, store: Store) -> dict[str, str | int | float | bool | None]:
    scores, encoder = refs.scores[teacher], _guide_content(refs, teacher)
    given: dict[str, str | int | float | bool | None] = {
        "version": find_teacher(teacher).VERSION,
        "scores": scores.content,
        "pairs": scores.rows,
        "unscored": int(str(store.manifest(scores.kind, scores.fingerprint).facts["unscored"])),
    }
    return {**given, "encoder": encoder} if encoder else given


def _source_identity(config: BuildConfig, ref: SnapshotRef, store: Store) -> SourceIdentity:
    opened = open_snapshot(store, ref)
    facts = own_counts(source_counts(opened)) if config.partition else source_counts(opened)
    reasons = opened.quarantine()["reason"].value_counts().sort("reason")
    return SourceIdentity(
        format=config.source.format, content=ref.content, counts=facts, quarantined=dict(reasons.iter_rows())
    )


def _encoder_identity(config: BuildConfig, ref: EncoderRef | None, store: Store) -> EncoderIdentity | None:
    if ref is None:
        return None
    facts = store.manifest(ref.kind, ref.fingerprint).facts.get("identity")
    plain = facts if isinstance(facts, dict) else {}
    return EncoderIdentity(
        backend=config.encoder.backend,
        fingerprint=ref.content,
        facts={name: value for name, value in plain.items() if isinstance(value, str | int | float | bool)},
    )


def _miner_identity(
    config: BuildConfig, refs: MiningRefs, miner: str, store: Store
) -> dict[str, str | int | float | bool | None]:
    options = identity(getattr(config.mine, miner))
    plain = {name: value for name, value in options.items() if isinstance(value, str | int | float | bool)}
    place = plain.pop("path", None)
    content = {"sha256": file_digest(Path(str(place)))} if place else {}
    if miner == "bm25" and refs.statistics:
        content["statistics"] = refs.statistics.content
    measured = index_report(refs, store) if miner == "dense" else None
    return {"version": find_miner(miner).VERSION, **plain, **content, **(measured.facts() if measured else {})}


def encoder_of(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> str:
    """Name the encoder that `config` prepares for the snapshot."""
    return encoder_fingerprint(config.encoder, fitted_content(config.encoder, snapshot.content, store, config.name))


def require_current(store: Store, snapshot_content: str) -> SnapshotRef:
    """Find the snapshot with this content in `store`; raise ArtifactError saying how to get it back."""
    for name in store.names(SnapshotRef.kind):
        found = store.find(SnapshotRef.kind, name)
        if found is not None and found.content == snapshot_content:
            return SnapshotRef(fingerprint=name, content=found.content, rows=found.rows)
    message = f"the set's corpus (content {snapshot_content[:16]}) is not in {store.root}; build the set there again"
    raise ArtifactError(message)
