"""Gather what miners need of the whole corpus, and mine the ledger's cells."""

from negset.building import open_inputs
from negset.mining.cells import mine_cells
from negset.mining.duplicates import find_duplicates
from negset.mining.statistics import prepare_statistics
from negset.snapshot import open_snapshot
from schemas.config import Bm25Config, BuildConfig
from schemas.refs import CellsRef, DuplicatesRef, MiningRefs, SnapshotRef, StatisticsRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("statistics")
def count_terms(bm25: Bm25Config, snapshot: SnapshotRef, dataset: str, *, fingerprint: str) -> StatisticsRef:
    """Count the terms of the partitions that changed and sum them up for lexical search."""
    store = Place().open_store()
    with shown_progress("statistics") as progress:
        return prepare_statistics(bm25, open_snapshot(store, snapshot), store, progress, dataset)


@room("duplicates")
def group_duplicates(snapshot: SnapshotRef, *, fingerprint: str) -> DuplicatesRef:
    """Find which documents are near-duplicates of each other."""
    store = Place().open_store()
    with shown_progress("duplicates") as progress:
        return find_duplicates(open_snapshot(store, snapshot), store, progress=progress)


@room("mine")
def mine(config: BuildConfig, refs: MiningRefs, miner: str, before: list[str], *, fingerprint: str) -> CellsRef:
    """Fill the cells of `miner` that are missing; those `before` were missing too, and others filled them."""
    store = Place().open_store()
    with shown_progress("mine") as progress:
        return mine_cells(open_inputs(config, refs, store), miner, store, progress, before)
