"""Cells of the mining matrix: a row per block of queries, a column per corpus partition, a plane per miner.

A cell is one artifact: the best documents of one partition for the queries of one block, by one miner. Its
fingerprint covers these queries, these documents and the miner alone, so that a changed partition or block
touches no other cell, and an interrupted run goes on with the cells that are missing.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from negset.arrays import Rows
from negset.errors import ArtifactError, ConfigError
from negset.fingerprint import fingerprint, rows_digest
from negset.mining.cell_files import Cell
from negset.mining.filling import fill_partition
from negset.mining.lineage import known_planes, read_planes, remember_plane
from negset.mining.miner import MinerModule, MiningInputs, Queries, find_miner
from negset.mining.positives import doc_ids
from negset.mining.times import last_moments
from negset.progress import Progress, no_progress
from negset.store import Store
from schemas.refs import CellRef, CellsRef

VERSION = 2


def mined_queries(inputs: MiningInputs) -> pl.DataFrame:
    """Give `query`, `query_id`, `text`, `asked_at` and `positives` of the queries that are mined, in their order.

    These are the queries of the configured splits with a labelled positive, since without one there is nothing that
    a negative could be a negative to; with `mine.unlabelled` the others too, for a labeller to find one.
    """
    queries = inputs.snapshot.queries().with_columns(query=pl.int_range(pl.len(), dtype=pl.UInt32))
    splits = inputs.config.splits
    known = sorted(queries.get_column("split").unique().to_list())
    missing = [name for name in splits if name not in known]
    if missing:
        message = f"mine.splits names {missing}, which no query has; the splits are {known}"
        raise ConfigError(message)
    labels = inputs.snapshot.qrels().filter(pl.col("relevance") >= 1)
    positives = labels.group_by("query_id").agg(pl.col("doc_id").n_unique().alias("positives"))
    return (
        queries.filter(pl.col("split").is_in(splits) if splits else pl.lit(value=True))
        .join(positives, on="query_id", how="left" if inputs.config.unlabelled else "inner")
        .select("query", "query_id", "text", "asked_at", pl.col("positives").fill_null(0))
        .sort("query")
    )


def query_blocks(inputs: MiningInputs, miner: str) -> list[Queries]:
    """Cut the mined queries into blocks; each query wants `miner`'s depth plus one for each of its positives."""
    frame = mined_queries(inputs)
    depth = inputs.config.random.depth if miner == "random" else inputs.config.depth
    return [
        Queries(
            rows=part.get_column("query").to_numpy().astype(np.int64),
            query_id=part.get_column("query_id"),
            text=part.get_column("text"),
            depths=part.get_column("positives").to_numpy().astype(np.int64) + depth,
            until=last_moments(part.get_column("asked_at"), inputs.config.time),
        )
        for part in frame.iter_slices(inputs.block or inputs.config.query_block)
    ]


def plan_cells(inputs: MiningInputs, miner: str, blocks: Sequence[Queries] | None = None) -> list[Cell]:
    """List the cells of `miner` for its `blocks`, partition by partition; no vector is needed for it."""
    digests = [_block_digest(block) for block in blocks or query_blocks(inputs, miner)]
    module = find_miner(miner)
    who = _identity(module, miner, inputs)
    return [
        Cell(number, partition, fingerprint("cell", who, digest, content))
        for partition, content in sorted(inputs.snapshot.partition_contents.items())
        for number, digest in enumerate(digests)
    ]


def missing_cells(cells: list[Cell], store: Store) -> list[Cell]:
    """Give those of `cells` that are not in the store, or damaged there."""
    return [cell for cell in cells if not is_whole(cell.fingerprint, store)]


def is_whole(cell: str, store: Store) -> bool:
    """Tell whether the `cell` of this fingerprint is in the store, every byte as it was written."""
    try:
        store.open(CellRef.kind, cell)
    except ArtifactError:
        return False
    return True


def cells_fingerprint(inputs: MiningInputs, miner: str) -> str:
    """Give the cache key of `mine_cells`: it covers every cell."""
    return fingerprint("cells", VERSION, [cell.fingerprint for cell in plan_cells(inputs, miner)])


def cells_content(inputs: MiningInputs, miner: str) -> str:
    """Name what the merged cells of `miner` hold, however the corpus and the queries are cut."""
    depth = inputs.config.random.depth if miner == "random" else inputs.config.depth
    who = _identity(find_miner(miner), miner, inputs)
    return fingerprint("candidates", who, inputs.snapshot.content, depth, sorted(inputs.config.splits))


def mine_cells(
    inputs: MiningInputs, miner: str, store: Store, progress: Progress = no_progress, before: Sequence[str] = ()
) -> CellsRef:
    """Fill the missing cells of `miner` and give a reference to all of them.

    A partition or block that changed is patched where an earlier build of the dataset mined it before. `progress`
    counts cells of which whole ones are done at the start. The facts of the artifact list the cells by block and
    partition, how many were mined now, those `before` by others of this build among them, and how many pairs that
    scored.
    """
    blocks = query_blocks(inputs, miner)
    cells = plan_cells(inputs, miner, blocks)
    wanted = missing_cells(cells, store)
    done = len(cells) - len(wanted)
    mined = dict.fromkeys(before) | dict.fromkeys(cell.fingerprint for cell in wanted)
    step = f"mine {miner}"
    progress(step, done, len(cells))
    planes = known_planes(store, inputs.dataset, miner) if wanted else []
    for _ in _mine(inputs, miner, wanted, blocks, planes, store):
        done += 1
        progress(step, done, len(cells))
    scored = sum(int(str(store.manifest(CellRef.kind, name).facts["scored"])) for name in mined)
    key = fingerprint("cells", VERSION, [cell.fingerprint for cell in cells])
    facts: dict[str, object] = {
        "miner": miner,
        "mined": len(mined),
        "scored": scored,
        "identity": miner_identity(inputs, miner),
        "contents": dict(inputs.snapshot.partition_contents),
        "blocks": [[block.query_id[0], block.query_id[-1]] for block in blocks],
        "cells": [[cell.block, cell.partition, cell.fingerprint] for cell in cells],
    }
    rows = sum(store.manifest(CellRef.kind, cell.fingerprint).rows for cell in cells)
    with store.staging() as staged:
        ref = store.commit(CellsRef, key, cells_content(inputs, miner), rows, staged, facts)
    remember_plane(store, inputs.dataset, miner, key)
    return ref


def fill_cells(inputs: MiningInputs, miner: str, names: Sequence[str], planes: Sequence[str], store: Store) -> None:
    """Fill those of the cells `names` of `miner` that are missing, patching what the `planes` mined before.

    Raises ArtifactError where these inputs have no such cell.
    """
    blocks = query_blocks(inputs, miner)
    asked = set(names)
    cells = [cell for cell in plan_cells(inputs, miner, blocks) if cell.fingerprint in asked]
    if len(cells) != len(asked):
        message = (
            f"{len(asked) - len(cells)} of {len(asked)} cells of {miner!r} are none of this plan: they were planned by "
            "another version of negset, or from another store. Run the same version everywhere, on one store"
        )
        raise ArtifactError(message)
    for _ in _mine(inputs, miner, missing_cells(cells, store), blocks, planes, store):
        pass


def miner_identity(inputs: MiningInputs, miner: str) -> str:
    """Name what the hits of `miner` depend on beside texts, times, ids and depths."""
    return fingerprint(_identity(find_miner(miner), miner, inputs))


def find_cells(store: Store, key: str) -> CellsRef | None:
    """Give the reference of mined cells all of which are there, every byte as it was written, else None."""
    ref = store.ref(CellsRef, key)
    return ref if ref is not None and not missing_cells(listed_cells(store, ref), store) else None


def listed_cells(store: Store, ref: CellsRef) -> list[Cell]:
    """Give the cells that `ref` stands for."""
    cells = store.manifest(ref.kind, ref.fingerprint).facts.get("cells")
    if not isinstance(cells, list):
        message = f"cells {ref.fingerprint[:16]} in {store.root} list no cells. Delete them and build again"
        raise ArtifactError(message)
    return [Cell(int(block), str(partition), str(name)) for block, partition, name in cells]


def deepest_lists(inputs: MiningInputs) -> Rows:
    """Give how many documents each mined query wants, of the miner that is asked for most."""
    config = inputs.config
    asked = [config.random.depth if miner == "random" else config.depth for miner in config.miners]
    positives: Rows = mined_queries(inputs).get_column("positives").to_numpy().astype(np.int64)
    return positives + max(asked)


def _identity(module: MinerModule, miner: str, inputs: MiningInputs) -> list[object]:
    return [miner, VERSION, module.VERSION, module.identity(inputs), inputs.config.time]


def _block_digest(block: Queries) -> str:
    columns = {"query_id": block.query_id, "text": block.text, "depth": block.depths, "until": block.until}
    return rows_digest(pl.DataFrame(columns), ["query_id"])


def _mine(
    inputs: MiningInputs, miner: str, wanted: list[Cell], blocks: list[Queries], known: Sequence[str], store: Store
) -> Iterator[int]:
    """Fill each of the `wanted` cells, partition by partition; yield how many pairs each scored.

    `known` are the keys of what was mined before.
    """
    if not wanted:
        return
    opened = find_miner(miner).open_miner(inputs)
    ids = doc_ids(inputs.snapshot) if len(inputs.snapshot.partition_contents) > 1 else None
    planes = read_planes(store, known, miner_identity(inputs, miner)) if opened.exact else []
    for partition in dict.fromkeys(cell.partition for cell in wanted):
        cells = [cell for cell in wanted if cell.partition == partition]
        yield from fill_partition(inputs, opened, partition, cells, blocks, planes, ids, store)
