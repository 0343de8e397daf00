"""Cut the rooms that are worth it into parts, and have a crew do them before the room itself runs.

The room then finds everything done and only says what there is. It does what is missing itself, so that nothing
depends on how the parts were cut.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from flows.runners.crew import Crew
from flows.runners.spreading import spread
from negset import building
from negset.encoders.encoder import Role
from negset.errors import ArtifactError
from negset.mining.cell_batches import cut_batches
from negset.mining.cells import deepest_lists, missing_cells, plan_cells, query_blocks
from negset.mining.lineage import known_planes
from negset.selecting import cut_selection, has_parts
from negset.store import Store
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import CellRef, EncoderRef, LedgerRefs, MiningRefs, SelectionPartRef, SnapshotRef
from tasks import parts
from tasks.parts import Whereabouts
from tasks.progress import shown_progress

_CANDIDATE: Final = 100
"""Pairs that cost as much to score as a candidate costs to merge and to select from."""


def share_texts(crew: Crew, encoder: EncoderConfig, prepared: EncoderRef, snapshot: SnapshotRef, role: Role) -> None:
    """Have the crew embed the texts of one `role` that have no vector yet, shard by shard."""
    plan = crew.sent(parts.plan)(encoder, prepared, snapshot, role)
    shards = -(-plan.rows // encoder.shard_size)
    count = crew.parts(shards)
    if count < 2:
        return
    borders = [shards * place // count for place in range(count + 1)]
    same = {"encoder": encoder, "prepared": prepared, "snapshot": snapshot, "role": role, "plan": plan}
    calls = [{**same, "first": first, "end": end} for first, end in pairwise(borders)]
    with shown_progress("embed") as progress:
        spread(crew, parts.embed, crew.config.runner.embed, calls, progress)


def share_cells(crew: Crew, config: BuildConfig, refs: MiningRefs, miner: str, store: Store) -> list[str]:
    """Have the crew fill the missing cells of `miner`; give the names of these.

    Raises ArtifactError where they do not come to lie in `store`.
    """
    inputs = building.open_inputs(config, refs, store, with_vectors=False)
    blocks = query_blocks(inputs, miner)
    cells = missing_cells(plan_cells(inputs, miner, blocks), store)
    documents = inputs.snapshot.partition_facts
    pairs = sum(len(blocks[cell.block].rows) * documents[cell.partition].documents for cell in cells)
    count = min(crew.parts(pairs / config.runner.pairs_per_task), len(cells))
    if count < 2:
        return []
    planes = known_planes(store, config.name, miner)
    same = {"config": config, "refs": refs, "miner": miner, "planes": planes}
    batches = cut_batches(cells, count)
    calls = [{**same, "cells": [cell.fingerprint for cell in batch]} for batch in batches]
    with shown_progress("mine") as progress:
        found = spread(crew, parts.fill, config.runner.mine, calls, progress)
    names = [cell.fingerprint for cell in cells]
    _require_here(names, found, store)
    return names


def share_selection(crew: Crew, refs: LedgerRefs, store: Store) -> list[SelectionPartRef]:
    """Have the crew select for some queries each; give what came of it in the order of the queries, or nothing."""
    config = crew.config
    if not has_parts(config):
        return []
    inputs = building.open_inputs(config, refs.mining, store, with_vectors=False)
    candidates = int(deepest_lists(inputs).sum()) * len(config.mine.miners)
    count = crew.parts(_CANDIDATE * candidates / config.runner.pairs_per_task)
    ranges = cut_selection(config, inputs, count)
    if len(ranges) < 2:
        return []
    same = {"config": config, "refs": refs}
    calls = [{**same, "first": one.start, "end": one.stop, "last": one is ranges[-1]} for one in ranges]
    with shown_progress("select") as progress:
        return spread(crew, parts.choose, config.runner.select, calls, progress)


def _require_here(cells: Sequence[str], found: Sequence[Whereabouts], store: Store) -> None:
    gone = [name for name in cells if store.find(CellRef.kind, name) is None]
    if gone:
        places = sorted({f"{one.host}: {one.store}" for one in found})
        message = (
            f"{len(gone)} of {len(cells)} cells are not in {store.root}, though workers filled them. They wrote to "
            f"{'; '.join(places)}. Give all the same NEGSET_STORE, a folder or address that all reach"
        )
        raise ArtifactError(message)
