"""Build a negative set: ingest, encode, mine, select, validate, publish."""

import logging
from pathlib import Path
from typing import Literal

from prefect import flow

from negset import building
from negset.cleaning.uses import in_use, record_use, refs_in
from negset.configuration import load_build_config
from negset.fingerprint import fingerprint
from negset.indexes.opened import find_indexes
from negset.mining.cells import find_cells
from negset.mining.duplicates import duplicates_fingerprint
from negset.mining.selection_inputs import needs_near_groups
from negset.mining.statistics import find_statistics, statistics_fingerprint
from negset.snapshot import open_snapshot
from negset.sources.reading import source_fingerprint
from negset.store import Store
from negset.vectors import find_vectors, vectors_fingerprint
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.manifest import RoundIdentity, SetFacts
from schemas.refs import (
    CellsRef,
    DuplicatesRef,
    EncoderRef,
    GuideRefs,
    IndexesRef,
    LedgerRefs,
    MiningRefs,
    NegativeSetRef,
    ReportRef,
    ScoresRef,
    SelectionRef,
    SnapshotRef,
    StatisticsRef,
    VectorsRef,
)
from tasks.embed import embed, prepare
from tasks.index import index
from tasks.ingest import ingest
from tasks.mine import count_terms, group_duplicates, mine
from tasks.place import Place
from tasks.policies import is_stored, through_cache
from tasks.publish import is_published, publish
from tasks.select import select
from tasks.sets import bring_set
from tasks.teach import teach
from tasks.validate import validate

_log = logging.getLogger("negset.build")


@flow(name="build")
def build(config: BuildConfig, round_of: RoundIdentity | None = None) -> NegativeSetRef:
    """Build, check and publish the set of `config`; rooms whose artifacts are there do not run.

    `round_of` says which of several rounds the set is, for its manifest.
    """
    building.bind(config)
    place = Place()
    store = place.open_store()
    with in_use(store.root):
        refs = gather_ledger(config, store)
        selected = _selected(config, refs, store)
        report = _validated(config, selected, refs.mining.snapshot, store)
        facts = building.describe(config, refs, store).model_copy(update={"round": round_of})
        made = _published(config, facts, selected, report, refs.mining.snapshot, store)
        home, used = place.set_address(config.set_name), (*refs_in(refs), selected, report)
        record_use(store.root, home, config.set_name, made.fingerprint, used)
    return made


def gather_ledger(config: BuildConfig, store: Store) -> LedgerRefs:
    """Run the rooms of `config` up to the selection: everything that its recipe chooses from."""
    snapshot = ingest_source(config, store)
    return _taught(config, _mined(config, _materials(config, snapshot, store), store), store)


@flow(name="build-from-file")
def build_from_file(config: str, overrides: list[str] | None = None) -> NegativeSetRef:
    """Build the set of the build file `config` with `overrides` (`section.key=value`): the entry of deployments."""
    return build(load_build_config(Path(config), overrides or []))


def ingest_source(config: BuildConfig, store: Store) -> SnapshotRef:
    """Read the source of `config` into the store."""
    key = source_fingerprint(config.source)
    return through_cache(ingest, is_stored(store, SnapshotRef, key))(config.source, fingerprint=key)


def _materials(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> MiningRefs:
    """Prepare what the configured miners need, and nothing else."""
    refs = MiningRefs(snapshot=snapshot)
    if "dense" in config.mine.miners:
        prepared = prepare_configured(config, snapshot, store)
        refs = MiningRefs(
            snapshot=snapshot,
            encoder=prepared,
            query_vectors=embed_role(config.encoder, prepared, snapshot, "query", store),
            document_vectors=embed_role(config.encoder, prepared, snapshot, "document", store),
        )
    if "bm25" in config.mine.miners:
        refs = refs.model_copy(update={"statistics": _counted(config, snapshot, store)})
    if building.uses_indexes(config):
        refs = refs.model_copy(update={"indexes": _indexed(config, refs, store)})
        building.require_index_recall(config, refs, store)
    return refs


def prepare_configured(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> EncoderRef:
    """Fit or check the encoder that `config` mines with."""
    key = building.encoder_of(config, snapshot, store)
    there = is_stored(store, EncoderRef, key)
    return through_cache(prepare, there)(config.encoder, snapshot, config.name, fingerprint=key)


def embed_role(
    encoder: EncoderConfig,
    prepared: EncoderRef,
    snapshot: SnapshotRef,
    role: Literal["query", "document"],
    store: Store,
) -> VectorsRef:
    """Embed the texts of one `role` by the `prepared` encoder."""
    key = vectors_fingerprint(prepared, snapshot.content, role)
    there = find_vectors(store, key) is not None
    return through_cache(embed, there)(encoder, prepared, snapshot, role, fingerprint=key)


def _counted(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> StatisticsRef:
    bm25, opened = config.mine.bm25, open_snapshot(store, snapshot)
    key = statistics_fingerprint(bm25, opened, store, config.name)
    there = find_statistics(bm25, opened, store, config.name) is not None
    return through_cache(count_terms, there)(bm25, snapshot, config.name, fingerprint=key)


def _indexed(config: BuildConfig, refs: MiningRefs, store: Store) -> IndexesRef:
    key = building.indexes_key(config, refs, store)
    return through_cache(index, find_indexes(store, key) is not None)(config, refs, fingerprint=key)


def _mined(config: BuildConfig, refs: MiningRefs, store: Store) -> LedgerRefs:
    cells: dict[str, CellsRef] = {}
    for miner in config.mine.miners:
        key = building.cells_key(config, refs, miner, store)
        cells[miner] = through_cache(mine, find_cells(store, key) is not None)(config, refs, miner, fingerprint=key)
    duplicates = _grouped(refs.snapshot, store) if needs_near_groups(building.bind(config)) else None
    return LedgerRefs(mining=refs, cells=cells, duplicates=duplicates)


def _grouped(snapshot: SnapshotRef, store: Store) -> DuplicatesRef:
    key = duplicates_fingerprint(snapshot.content)
    return through_cache(group_duplicates, is_stored(store, DuplicatesRef, key))(snapshot, fingerprint=key)


def _taught(config: BuildConfig, refs: LedgerRefs, store: Store) -> LedgerRefs:
    """Ask the teachers whose scores the recipe reads."""
    wanted = building.bind(config).teachers
    if building.GUIDE in wanted:
        refs = refs.model_copy(update={"guide": _guide(config, refs.mining.snapshot, store)})
    scores: dict[str, ScoresRef] = {}
    for teacher in wanted:
        key = building.scores_key(config, refs, teacher, store)
        scores[teacher] = through_cache(teach, is_stored(store, ScoresRef, key))(config, refs, teacher, fingerprint=key)
    return refs.model_copy(update={"scores": scores})


def _guide(config: BuildConfig, snapshot: SnapshotRef, store: Store) -> GuideRefs:
    encoder, key = config.teach.guide.encoder, building.guide_encoder_of(config, snapshot, store)
    prepared = through_cache(prepare, is_stored(store, EncoderRef, key))(
        encoder, snapshot, config.name, fingerprint=key
    )
    return GuideRefs(
        encoder=prepared,
        query_vectors=embed_role(encoder, prepared, snapshot, "query", store),
        document_vectors=embed_role(encoder, prepared, snapshot, "document", store),
    )


def _selected(config: BuildConfig, refs: LedgerRefs, store: Store) -> SelectionRef:
    key = building.selection_key(config, refs)
    return through_cache(select, is_stored(store, SelectionRef, key))(config, refs, fingerprint=key)


def _validated(config: BuildConfig, selected: SelectionRef, snapshot: SnapshotRef, store: Store) -> ReportRef:
    bring_set(Place(), config.set_name)
    previous = building.previous_version(config, selected, store, Place().sets_folder())
    key = building.report_key(config, selected, previous)
    there = is_stored(store, ReportRef, key)
    return through_cache(validate, there)(config, selected, snapshot, previous, fingerprint=key)


def _published(
    config: BuildConfig,
    facts: SetFacts,
    selected: SelectionRef,
    report: ReportRef,
    snapshot: SnapshotRef,
    store: Store,
) -> NegativeSetRef:
    # A published set has a place: what was published elsewhere is not published here.
    key = fingerprint(building.publication_key(selected, report, facts), Place().sets_folder())
    there = is_published(store, Place(), config.set_name, key)
    return through_cache(publish, there)(facts, selected, report, snapshot, fingerprint=key)
