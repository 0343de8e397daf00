"""Build a negative set: ingest, encode, mine, select, validate, publish."""

import logging
from typing import Literal

from prefect import flow

from flows.runners.crew import Crew, alone, open_crew
from flows.runners.sharing import share_cells, share_selection, share_texts
from negset import building
from negset.cleaning.uses import in_use, record_use, refs_in
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
from tasks.freshness import tell_fresh
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
    with in_use(store.root), open_crew(config) as crew:
        refs = _ledger(crew, store)
        selected = _selected(crew, refs, store)
        report = _validated(crew, selected, refs.mining.snapshot, store)
        facts = building.describe(config, refs, store).model_copy(update={"round": round_of})
        published = _published(crew, facts, selected, report, refs.mining.snapshot, store)
        home, used = place.set_address(config.set_name), (*refs_in(refs), selected, report)
        record_use(store.root, home, config.set_name, published.fingerprint, used)
    if round_of is None and not config.partition:
        tell_fresh(config.name)
    return published


def gather_ledger(config: BuildConfig, store: Store) -> LedgerRefs:
    """Run the rooms of `config` up to the selection: everything that its recipe chooses from."""
    with open_crew(config) as crew:
        return _ledger(crew, store)


def _ledger(crew: Crew, store: Store) -> LedgerRefs:
    snapshot = ingest_source(crew.config, store, crew)
    return _taught(crew, _mined(crew, _materials(crew, snapshot, store), store), store)


def ingest_source(config: BuildConfig, store: Store, crew: Crew | None = None) -> SnapshotRef:
    """Read the source of `config` into the store."""
    key, crew = source_fingerprint(config.source), crew or alone(config)
    return crew.room(ingest, is_stored(store, SnapshotRef, key))(config.source, fingerprint=key)


def _materials(crew: Crew, snapshot: SnapshotRef, store: Store) -> MiningRefs:
    """Prepare what the configured miners need, and nothing else."""
    config, refs = crew.config, MiningRefs(snapshot=snapshot)
    if "dense" in config.mine.miners:
        prepared = prepare_configured(config, snapshot, store, crew)
        refs = MiningRefs(
            snapshot=snapshot,
            encoder=prepared,
            query_vectors=embed_role(config.encoder, prepared, snapshot, "query", store, crew),
            document_vectors=embed_role(config.encoder, prepared, snapshot, "document", store, crew),
        )
    if "bm25" in config.mine.miners:
        refs = refs.model_copy(update={"statistics": _counted(crew, snapshot, store)})
    if building.uses_indexes(config):
        refs = refs.model_copy(update={"indexes": _indexed(crew, refs, store)})
        building.require_index_recall(config, refs, store)
    return refs


def prepare_configured(
    config: BuildConfig, snapshot: SnapshotRef, store: Store, crew: Crew | None = None
) -> EncoderRef:
    """Fit or check the encoder that `config` mines with."""
    key, crew = building.encoder_of(config, snapshot, store), crew or alone(config)
    there = is_stored(store, EncoderRef, key)
    return crew.room(prepare, there)(config.encoder, snapshot, config.name, fingerprint=key)


def embed_role(
    encoder: EncoderConfig,
    prepared: EncoderRef,
    snapshot: SnapshotRef,
    role: Literal["query", "document"],
    store: Store,
    crew: Crew | None = None,
) -> VectorsRef:
    """Embed the texts of one `role` by the `prepared` encoder, the crew shard by shard if there is one."""
    key = vectors_fingerprint(prepared, snapshot.content, role)
    there = find_vectors(store, key) is not None
    if crew is None:
        return through_cache(embed, there)(encoder, prepared, snapshot, role, fingerprint=key)
    if crew.shares and not there:
        share_texts(crew, encoder, prepared, snapshot, role)
    return crew.room(embed, there)(encoder, prepared, snapshot, role, fingerprint=key)


def _counted(crew: Crew, snapshot: SnapshotRef, store: Store) -> StatisticsRef:
    config = crew.config
    bm25, opened = config.mine.bm25, open_snapshot(store, snapshot)
    key = statistics_fingerprint(bm25, opened, store, config.name)
    there = find_statistics(bm25, opened, store, config.name) is not None
    return crew.room(count_terms, there)(bm25, snapshot, config.name, fingerprint=key)


def _indexed(crew: Crew, refs: MiningRefs, store: Store) -> IndexesRef:
    key = building.indexes_key(crew.config, refs, store)
    return crew.room(index, find_indexes(store, key) is not None)(crew.config, refs, fingerprint=key)


def _mined(crew: Crew, refs: MiningRefs, store: Store) -> LedgerRefs:
    config, cells = crew.config, dict[str, CellsRef]()
    for miner in config.mine.miners:
        key = building.cells_key(config, refs, miner, store)
        there = find_cells(store, key) is not None
        before = share_cells(crew, config, refs, miner, store) if crew.shares and not there else []
        cells[miner] = crew.room(mine, there)(config, refs, miner, before, fingerprint=key)
    duplicates = _grouped(crew, refs.snapshot, store) if needs_near_groups(building.bind(config)) else None
    return LedgerRefs(mining=refs, cells=cells, duplicates=duplicates)


def _grouped(crew: Crew, snapshot: SnapshotRef, store: Store) -> DuplicatesRef:
    key = duplicates_fingerprint(snapshot.content)
    return crew.room(group_duplicates, is_stored(store, DuplicatesRef, key))(snapshot, fingerprint=key)


def _taught(crew: Crew, refs: LedgerRefs, store: Store) -> LedgerRefs:
    """Ask the teachers whose scores the recipe reads."""
    config = crew.config
    wanted = building.bind(config).teachers
    if building.GUIDE in wanted:
        refs = refs.model_copy(update={"guide": _guide(crew, refs.mining.snapshot, store)})
    scores: dict[str, ScoresRef] = {}
    for teacher in wanted:
        key = building.scores_key(config, refs, teacher, store)
        scores[teacher] = crew.room(teach, is_stored(store, ScoresRef, key))(config, refs, teacher, fingerprint=key)
    return refs.model_copy(update={"scores": scores})


def _guide(crew: Crew, snapshot: SnapshotRef, store: Store) -> GuideRefs:
    config = crew.config
    encoder, key = config.teach.guide.encoder, building.guide_encoder_of(config, snapshot, store)
    prepared = crew.room(prepare, is_stored(store, EncoderRef, key))(encoder, snapshot, config.name, fingerprint=key)
    return GuideRefs(
        encoder=prepared,
        query_vectors=embed_role(encoder, prepared, snapshot, "query", store, crew),
        document_vectors=embed_role(encoder, prepared, snapshot, "document", store, crew),
    )


def _selected(crew: Crew, refs: LedgerRefs, store: Store) -> SelectionRef:
    key = building.selection_key(crew.config, refs)
    there = is_stored(store, SelectionRef, key)
    parts = share_selection(crew, refs, store) if crew.shares and not there else []
    selected = crew.room(select, there)(crew.config, refs, parts, fingerprint=key)
    for part in parts:
        store.drop(part.kind, part.fingerprint)  # the selection has their rows now
    return selected


def _validated(crew: Crew, selected: SelectionRef, snapshot: SnapshotRef, store: Store) -> ReportRef:
    config = crew.config
    bring_set(Place(), config.set_name)
    previous = building.previous_version(config, selected, store, Place().sets_folder())
    key = building.report_key(config, selected, previous)
    there = is_stored(store, ReportRef, key)
    return crew.room(validate, there)(config, selected, snapshot, previous, fingerprint=key)


def _published(
    crew: Crew,
    facts: SetFacts,
    selected: SelectionRef,
    report: ReportRef,
    snapshot: SnapshotRef,
    store: Store,
) -> NegativeSetRef:
    # A published set has a place: what was published elsewhere is not published here.
    key = fingerprint(building.publication_key(selected, report, facts), Place().sets_folder())
    there = is_published(store, Place(), crew.config.set_name, key)
    return crew.room(publish, there)(facts, selected, report, snapshot, fingerprint=key)
