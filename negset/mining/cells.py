"""Cells of the mining matrix: a row per block of queries, a column per corpus partition, a plane per miner.

A cell is one artifact: the best documents of one partition for the queries of one block, by one miner. Its
fingerprint covers these queries, these documents and the miner alone, so that a changed partition or block
touches no other cell, and an interrupted run goes on with the cells that are missing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from negset.errors import ArtifactError, ConfigError
from negset.fingerprint import fingerprint, rows_digest
from negset.mining.miner import (
    Documents,
    MinerModule,
    MiningInputs,
    Queries,
    Search,
    find_miner,
)
from negset.mining.positives import doc_ids
from negset.mining.times import first_moment, last_moments, moments_of_creation
from negset.progress import Progress, no_progress
from negset.search import Hits, Rows, no_hits, ranks
from negset.store import Store
from negset.tables import write_table
from negset.text import document_texts
from schemas.refs import CellRef, CellsRef

VERSION = 1
FILE = "candidates.parquet"
NO_DOCUMENTS = Documents(
    pl.Series(dtype=pl.String), pl.Series(dtype=pl.String), np.empty(0, np.int64), np.empty(0, np.int64)
)


@dataclass(frozen=True)
class Cell:
    """A place in the plane of one miner: its block and partition, and the artifact that fills it."""

    block: int
    partition: str
    fingerprint: str


def mined_queries(inputs: MiningInputs) -> pl.DataFrame:
    """Give `query`, `query_id`, `text`, `asked_at` and `positives` of the queries that are mined, in their order.

    These are the queries of the configured splits with a labelled positive: without one there is nothing that a
    negative could be a negative to.
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
        .join(positives, on="query_id")
        .select("query", "query_id", "text", "asked_at", "positives")
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
        for part in frame.iter_slices(inputs.config.query_block)
    ]


def plan_cells(inputs: MiningInputs, miner: str) -> list[Cell]:
    """List the cells of `miner`, partition by partition; no vector is needed for it."""
    blocks = [_block_digest(block) for block in query_blocks(inputs, miner)]
    module = find_miner(miner)
    who = _identity(module, miner, inputs)
    return [
        Cell(number, partition, fingerprint("cell", who, digest, content))
        for partition, content in sorted(inputs.snapshot.partition_contents.items())
        for number, digest in enumerate(blocks)
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


def mine_cells(inputs: MiningInputs, miner: str, store: Store, progress: Progress = no_progress) -> CellsRef:
    """Fill the missing cells of `miner` and give a reference to all of them.

    `progress` counts cells of which whole ones are done at the start. The facts of the artifact list the cells by
    block and partition, how many were mined now and how many candidates there are.
    """
    cells = plan_cells(inputs, miner)
    wanted = missing_cells(cells, store)
    done = len(cells) - len(wanted)
    step = f"mine {miner}"
    progress(step, done, len(cells))
    if wanted:
        for _ in _mine(inputs, miner, wanted, store):
            done += 1
            progress(step, done, len(cells))
    rows = sum(store.manifest(CellRef.kind, cell.fingerprint).rows for cell in cells)
    facts: dict[str, object] = {
        "miner": miner,
        "mined": len(wanted),
        "cells": [[cell.block, cell.partition, cell.fingerprint] for cell in cells],
    }
    key = fingerprint("cells", VERSION, [cell.fingerprint for cell in cells])
    with store.staging() as staged:
        return store.commit(CellsRef, key, cells_content(inputs, miner), rows, staged, facts)


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


def open_documents(inputs: MiningInputs, partition: str, ids: pl.Series) -> Documents:
    """Read one partition; `ids` are the ids of all documents in the order of their rows."""
    documents = inputs.snapshot.documents(partition)
    places = pl.DataFrame({"doc_id": ids}).with_row_index("row")
    found = documents.select("doc_id").join(places, on="doc_id", how="left", maintain_order="left")
    rows = found.get_column("row").to_numpy().astype(np.int64)
    created = moments_of_creation(documents.get_column("created_at"), inputs.config.time)
    return Documents(documents.get_column("doc_id"), document_texts(documents), rows, created)


def estimate_memory(inputs: MiningInputs, dimensions: int) -> int:
    """Give the bytes that the largest cell needs: vectors of its partition and block, and the lists in between."""
    config = inputs.config
    documents = texts = 0
    for name in inputs.snapshot.partitions():
        part = inputs.snapshot.documents(name)
        documents, texts = max(documents, part.height), max(texts, int(part.estimated_size()))
    depths = mined_queries(inputs).get_column("positives").to_numpy() + max(config.depth, config.random.depth)
    pairs = max(
        (int(depths[first : first + config.query_block].sum()) for first in range(0, len(depths), config.query_block)),
        default=0,
    )
    vectors = 4 * dimensions * (documents + min(len(depths), config.query_block))
    return vectors + texts + 72 * pairs


def _identity(module: MinerModule, miner: str, inputs: MiningInputs) -> list[object]:
    return [miner, VERSION, module.VERSION, module.identity(inputs), inputs.config.time]


def _block_digest(block: Queries) -> str:
    columns = {"query_id": block.query_id, "text": block.text, "depth": block.depths, "until": block.until}
    return rows_digest(pl.DataFrame(columns), ["query_id"])


def _mine(inputs: MiningInputs, miner: str, wanted: list[Cell], store: Store) -> Iterator[CellRef]:
    """Fill each of the `wanted` cells; a partition is opened once for all its blocks."""
    blocks = query_blocks(inputs, miner)
    opened = find_miner(miner).open_miner(inputs)
    ids = doc_ids(inputs.snapshot)
    partition, documents, search = "", None, None
    for cell in wanted:
        first = first_moment(inputs.snapshot.partition_facts[cell.partition], inputs.config.time)
        if first > blocks[cell.block].until.max():
            # None of these queries may know any of these documents: no vector is read for an empty cell.
            yield _fill(cell, miner, blocks[cell.block], NO_DOCUMENTS, _find_nothing, store)
            continue
        if documents is None or search is None or cell.partition != partition:
            partition, documents = cell.partition, open_documents(inputs, cell.partition, ids)
            search = opened.open_partition(documents)
        yield _fill(cell, miner, blocks[cell.block], documents, search, store)


def _fill(cell: Cell, miner: str, queries: Queries, documents: Documents, search: Search, store: Store) -> CellRef:
    hits = search(queries)
    frame = cell_frame(miner, queries, documents, hits)
    with store.staging() as staged:
        write_table(frame, "cell", staged / FILE, presorted=True)
        facts: dict[str, object] = {"miner": miner, "queries": len(queries.rows), "documents": len(documents.rows)}
        return store.commit(CellRef, cell.fingerprint, _content(hits), len(hits), staged, facts)


def _find_nothing(_: Queries) -> Hits:
    return no_hits()


def cell_frame(miner: str, queries: Queries, documents: Documents, hits: Hits) -> pl.DataFrame:
    """Write `hits` with ids; they are in the order of the table's key already, since rows follow ids."""
    return pl.DataFrame(
        {
            "query_id": queries.query_id.gather(hits.query),
            "doc_id": documents.doc_id.gather(hits.doc),
            "miner": pl.Series([miner], dtype=pl.Enum([miner])).new_from_index(0, len(hits)),
            "rank": _ranks(hits.query),
            "score": hits.score,
        }
    )


def _ranks(query: Rows) -> pl.Series:
    return pl.Series(ranks(query), dtype=pl.Int32)


def _content(hits: Hits) -> str:
    """Hash the rows of a cell by their numbers; the ids are covered by its fingerprint."""
    digest = hashlib.sha256()
    for column, kind in ((hits.query, "<i8"), (hits.doc, "<i8"), (hits.score, "<f8")):
        digest.update(column.astype(kind).tobytes())
    return digest.hexdigest()
