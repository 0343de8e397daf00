"""Say what a build would do: which rooms have their artifact already, which would run, how much memory it takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from negset import building
from negset.encoders.encoder import Role
from negset.indexes.choosing import choice_fingerprint, describe_choice, find_choice
from negset.indexes.kind import AUTO, fewest_documents
from negset.indexes.opened import find_indexes
from negset.indexes.report import read_report
from negset.mining.budget import Budget, cells_disk, measure_load, vectors_disk
from negset.mining.cells import deepest_lists, missing_cells, plan_cells
from negset.mining.duplicates import duplicates_fingerprint
from negset.mining.explaining import explain_cells
from negset.mining.miner import MiningInputs
from negset.mining.selection_inputs import needs_near_groups
from negset.mining.statistics import find_statistics, missing_counts, pinned_origin
from negset.snapshot import open_snapshot
from negset.sources.reading import source_fingerprint
from negset.store import Store
from negset.vectors import find_vectors, vectors_fingerprint
from schemas.config import BuildConfig
from schemas.refs import (
    CellsRef,
    DuplicatesRef,
    EncoderRef,
    GuideRefs,
    IndexesRef,
    LedgerRefs,
    MiningRefs,
    Ref,
    ReportRef,
    ScoresRef,
    SelectionRef,
    SnapshotRef,
    StatisticsRef,
    VectorsRef,
)

RefT = TypeVar("RefT", bound=Ref)
State = Literal["cached", "runs", "unknown"]
ROLES: Final[tuple[Role, ...]] = ("query", "document")


@dataclass(frozen=True)
class PlannedRoom:
    """One room of a build: `unknown` stands for one whose inputs do not exist yet."""

    name: str
    state: State
    detail: str = ""
    reasons: tuple[str, ...] = ()
    """Why cells would run, and how, a line each."""


def plan_build(config: BuildConfig, store: Store, sets: Path | None = None) -> list[PlannedRoom]:
    """List the rooms of the build of `config` in their order, with what is in `store` of each.

    `sets` is the folder of published sets, whose latest version the gates compare with.

    Nothing is computed but fingerprints. Raises ConfigError as the build itself would.
    """
    return list(_walk(config, store, sets))


def _walk(config: BuildConfig, store: Store, sets: Path | None) -> Iterator[PlannedRoom]:
    bound = building.bind(config)
    snapshot = store.ref(SnapshotRef, source_fingerprint(config.source))
    rest = ["encoder", "embed query", "embed document"] if "dense" in config.mine.miners else []
    rest += ["statistics"] if "bm25" in config.mine.miners else []
    rest += ["index"] if building.uses_indexes(config) else []
    rest += [f"mine {miner}" for miner in config.mine.miners]
    rest += ["duplicates"] if needs_near_groups(bound) else []
    if building.GUIDE in bound.teachers:
        rest += ["guide encoder", *(f"guide embed {role}" for role in ROLES)]
    rest += [f"teach {teacher}" for teacher in bound.teachers]
    rest += ["select", "validate", "publish"]
    if snapshot is None:
        yield PlannedRoom("ingest", "runs")
        yield from (PlannedRoom(name, "unknown", "known once the source is read") for name in rest)
        return
    yield PlannedRoom("ingest", "cached", f"{snapshot.rows:,} documents")
    yield from _after_ingest(config, snapshot, store, sets)


def _after_ingest(config: BuildConfig, snapshot: SnapshotRef, store: Store, sets: Path | None) -> Iterator[PlannedRoom]:
    refs, incomplete = MiningRefs(snapshot=snapshot), False
    if "dense" in config.mine.miners:
        encoder = store.ref(EncoderRef, building.encoder_of(config, snapshot, store))
        yield _room("encoder", encoder)
        vectors: list[VectorsRef | None] = []
        for role in ROLES:
            found = find_vectors(store, vectors_fingerprint(encoder, snapshot.content, role)) if encoder else None
            yield _room(f"embed {role}", found)
            vectors.append(found)
        refs = MiningRefs(snapshot=snapshot, encoder=encoder, query_vectors=vectors[0], document_vectors=vectors[1])
        incomplete = encoder is None
    if "bm25" in config.mine.miners:
        room, statistics = _plan_statistics(config, snapshot, store)
        yield room
        refs = refs.model_copy(update={"statistics": statistics})
        incomplete = incomplete or statistics is None
    if building.uses_indexes(config):
        room, indexes = _index_room(config, refs, store)
        yield room
        refs = refs.model_copy(update={"indexes": indexes})
        incomplete = incomplete or indexes is None
    yield from _after_materials(config, refs, store, sets, incomplete=incomplete)


def _plan_statistics(
    config: BuildConfig, snapshot: SnapshotRef, store: Store
) -> tuple[PlannedRoom, StatisticsRef | None]:
    """Say whose numbers weigh the terms; what is pinned is known before the documents of this build are counted."""
    bm25, opened = config.mine.bm25, open_snapshot(store, snapshot)
    found = find_statistics(bm25, opened, store, config.name)
    origin = None if found else pinned_origin(bm25, opened, store, config.name)
    known = origin.ref if origin else found
    missing = 0 if found else len(missing_counts(bm25, opened, store))
    policy = "of every build"
    if bm25.pin:
        policy = f"pinned as {bm25.pin!r} over {known.rows:,} documents" if known else f"to be pinned as {bm25.pin!r}"
    detail = f"{missing} of {len(opened.partitions())} partitions to count, {policy}"
    return PlannedRoom("statistics", "cached" if found else "runs", detail), known


def _index_room(config: BuildConfig, refs: MiningRefs, store: Store) -> tuple[PlannedRoom, IndexesRef | None]:
    """Say which index stands where, and up to what size exact search stands in for one."""
    limit = exact_limit(config, refs, store)
    found = find_indexes(store, building.indexes_key(config, refs, store)) if refs.encoder else None
    if found is None:
        return PlannedRoom("index", "runs", f"{config.mine.dense.index}; {limit}"), None
    report = read_report(store, found)
    what = f"{report.kind} for {report.indexed} of {report.indexed + report.exact} partitions"
    measured = f"; {report.settings}; recall {report.recall:.4f} on {report.sample} queries" if report.indexed else ""
    return PlannedRoom("index", "cached", f"{what}{measured}; {limit}"), found


def exact_limit(config: BuildConfig, refs: MiningRefs, store: Store) -> str:
    """Say up to how many documents a partition is searched exactly."""
    if config.mine.dense.index != AUTO:
        return f"exact below {fewest_documents(config.mine.dense.index, config.mine.depth):,} documents in a partition"
    inputs = building.open_inputs(config, refs, store, with_vectors=False)
    choice = find_choice(store, choice_fingerprint(inputs)) if refs.encoder else None
    if choice is None:
        return "what is cheapest is measured first"
    return describe_choice(choice)


def _after_materials(
    config: BuildConfig, refs: MiningRefs, store: Store, sets: Path | None, *, incomplete: bool
) -> Iterator[PlannedRoom]:
    cells: dict[str, CellsRef] = {}
    for miner in config.mine.miners:
        if incomplete:
            yield PlannedRoom(f"mine {miner}", "runs", "known cell by cell once its inputs are there")
            continue
        inputs = building.open_inputs(config, refs, store, with_vectors=False)
        planned = plan_cells(inputs, miner)
        missing = missing_cells(planned, store)
        found = store.ref(CellsRef, building.cells_key(config, refs, miner, store))
        detail = f"{len(missing)} of {len(planned)} cells"
        reasons = tuple(explain_cells(inputs, miner, missing, store))
        yield PlannedRoom(f"mine {miner}", "cached" if found and not missing else "runs", detail, reasons)
        if found and not missing:
            cells[miner] = found
    duplicates = None
    if needs_near_groups(building.bind(config)):
        duplicates = store.ref(DuplicatesRef, duplicates_fingerprint(refs.snapshot.content))
        yield _room("duplicates", duplicates)
    ledger = None
    if len(cells) == len(config.mine.miners):
        ledger = LedgerRefs(mining=refs, cells=cells, duplicates=duplicates)
    for teacher in building.bind(config).teachers:
        if teacher == building.GUIDE:
            guide, rooms = _guide_rooms(config, refs, store)
            ledger = ledger.model_copy(update={"guide": guide}) if ledger and guide else None
            yield from rooms
        found_scores = store.ref(ScoresRef, building.scores_key(config, ledger, teacher, store)) if ledger else None
        yield _room(f"teach {teacher}", found_scores)
        ledger = _with_scores(ledger, teacher, found_scores) if ledger and found_scores else None
    selected = store.ref(SelectionRef, building.selection_key(config, ledger)) if ledger else None
    yield _room("select", selected)
    previous = building.previous_version(config, selected, store, sets) if selected and sets else None
    report = store.ref(ReportRef, building.report_key(config, selected, previous)) if selected else None
    yield _room("validate", report)
    yield PlannedRoom("publish", "cached" if report else "runs", "again only if LATEST moved on" if report else "")


def _guide_rooms(config: BuildConfig, refs: MiningRefs, store: Store) -> tuple[GuideRefs | None, list[PlannedRoom]]:
    """Say what is there of the guide's encoder and of its vectors."""
    encoder = store.ref(EncoderRef, building.guide_encoder_of(config, refs.snapshot, store))
    rooms, found = [_room("guide encoder", encoder)], []
    for role in ROLES:
        content = refs.snapshot.content
        vectors = find_vectors(store, vectors_fingerprint(encoder, content, role)) if encoder else None
        rooms.append(_room(f"guide embed {role}", vectors))
        found.append(vectors)
    queries, documents = found
    if encoder is None or queries is None or documents is None:
        return None, rooms
    return GuideRefs(encoder=encoder, query_vectors=queries, document_vectors=documents), rooms


def _with_scores(ledger: LedgerRefs, teacher: str, scores: ScoresRef) -> LedgerRefs:
    return ledger.model_copy(update={"scores": {**ledger.scores, teacher: scores}})


def _room(name: str, found: Ref | None) -> PlannedRoom:
    return PlannedRoom(name, "runs") if found is None else PlannedRoom(name, "cached", f"{found.rows:,} rows")


def plan_memory(config: BuildConfig, store: Store) -> Budget | None:
    """Say how much memory mining takes and how it is cut; None before the source was read."""
    snapshot = store.ref(SnapshotRef, source_fingerprint(config.source))
    if snapshot is None:
        return None
    opened = open_snapshot(store, snapshot)
    inputs = MiningInputs(snapshot=opened, config=config.mine, seed=config.seed)
    return building.mining_budget(config, inputs, config.encoder.dimensions if "dense" in config.mine.miners else 0)


def plan_disk(config: BuildConfig, store: Store) -> int | None:
    """Estimate the bytes of vectors and cells of a build; None before the source was read.

    Vectors count where their width is known: where they are there, or the configuration gives it.
    """
    snapshot = store.ref(SnapshotRef, source_fingerprint(config.source))
    if snapshot is None:
        return None
    opened = open_snapshot(store, snapshot)
    sizes = [facts.documents for facts in opened.partition_facts.values()]
    inputs = MiningInputs(snapshot=opened, config=config.mine, seed=config.seed)
    load = measure_load(opened, deepest_lists(inputs), 0)
    cells = len(config.mine.miners) * cells_disk(load, sizes)
    if "dense" not in config.mine.miners or config.encoder.backend not in ("lsa", "hashing"):
        return cells
    item = 2 if config.encoder.storage == "float16" else 4
    return cells + vectors_disk(sum(sizes) + opened.queries().height, config.encoder.dimensions, item)
