"""Fill the cells of one partition: search it, or patch what was mined there before.

A query whose earlier list still suffices is searched among the documents that came alone; every other query is
searched in the whole partition, which is opened only if there is one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl

from negset.arrays import Rows
from negset.mining.cell_files import Cell, Keys, keep_members, query_keys, write_cell
from negset.mining.lineage import Change, Plane, carry_lists, find_change
from negset.mining.lists import Lists, fresh_lists, patch_lists, replace_lists, reserve, too_short
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, Search
from negset.mining.positives import doc_ids
from negset.mining.times import first_moment, moments_of_creation
from negset.search import Hits, no_hits
from negset.store import Store
from negset.text import document_texts
from schemas.refs import CellRef


@dataclass(frozen=True)
class Partition:
    """A partition that is being mined: how to search it, and how it differs from what was mined before, if it was."""

    name: str
    documents: int
    exact: bool
    search: Callable[[], Search]
    change: Change | None
    search_added: Callable[[], Search]


def fill_partition(
    inputs: MiningInputs,
    opened: OpenMiner,
    name: str,
    cells: Sequence[Cell],
    blocks: Sequence[Queries],
    planes: Sequence[Plane],
    ids: pl.Series | None,
    store: Store,
) -> Iterator[int]:
    """Fill the `cells` of the partition `name`, where `ids` are those of all documents; yield the pairs each scored."""
    first = first_moment(inputs.snapshot.partition_facts[name], inputs.config.time)
    opening = cache(lambda: _open_partition(inputs, opened, open_documents(inputs, name, ids), name, planes, store))
    writing: Future[int] | None = None
    # A cell is written, digested and flushed while the next one is searched.
    with ThreadPoolExecutor(1) as writer:
        for cell in cells:
            queries = blocks[cell.block]
            keys_Q = query_keys(queries)
            if first > queries.until.max():
                # None of these queries may know any of these documents: no document is read for an empty cell.
                lists, scored = fresh_lists(no_hits(), queries.depths), 0
            else:
                lists, scored = _fill_lists(opening(), queries, keys_Q, store)
            if writing is not None:
                yield writing.result()
            writing = writer.submit(_commit, cell, queries, keys_Q, lists, scored, store)
        if writing is not None:
            yield writing.result()


def open_documents(inputs: MiningInputs, partition: str, ids: pl.Series | None = None) -> Documents:
    """Read the documents of one partition; `ids`, read if not given, are those of all documents, sorted."""
    documents = inputs.snapshot.documents(partition)
    own = documents.get_column("doc_id")
    rows = np.arange(len(own))
    if len(inputs.snapshot.partition_contents) > 1:
        ids = doc_ids(inputs.snapshot) if ids is None else ids
        rows = np.asarray(ids.search_sorted(own), dtype=np.int64)
    created = moments_of_creation(documents.get_column("created_at"), inputs.config.time)
    return Documents(own, document_texts(documents), rows, created)


def _open_partition(
    inputs: MiningInputs,
    opened: OpenMiner,
    documents: Documents,
    name: str,
    planes: Sequence[Plane],
    store: Store,
) -> Partition:
    keys_N = keep_members(store, inputs.snapshot.partition_contents[name], documents)
    change = find_change(store, planes, name, keys_N)
    added = np.empty(0, dtype=np.int64) if change is None else change.added
    return Partition(
        name=name,
        documents=len(keys_N),
        exact=opened.exact,
        search=cache(lambda: opened.open_partition(documents)),
        change=change,
        search_added=cache(lambda: opened.open_partition(_some_documents(documents, added))),
    )


def _fill_lists(partition: Partition, queries: Queries, keys_Q: Keys, store: Store) -> tuple[Lists, int]:
    """Give the lists of a block in a partition and how many pairs were scored for them."""
    # A reserve serves patching, and what is not exact is not patched.
    length_Q = queries.depths + reserve(queries.depths) if partition.exact else queries.depths
    change = partition.change
    if change is None:
        hits = partition.search()(replace(queries, depths=length_Q))
        return fresh_lists(hits, length_Q), len(length_Q) * partition.documents
    first, last = str(queries.query_id[0]), str(queries.query_id[-1])
    lists, carried_Q = carry_lists(store, change, partition.name, first, last, keys_Q)
    scored = 0
    if len(change.added):
        rows = np.flatnonzero(carried_Q)
        # What is below the floor of its list cannot join it.
        asked = replace(_some_queries(queries, rows, length_Q), least=lists.floor_Q[rows])
        found = partition.search_added()(asked)
        added = Hits(rows[found.query], change.added[found.doc], found.score)
        lists, scored = patch_lists(lists, added, length_Q), len(rows) * len(change.added)
    again = np.flatnonzero(too_short(lists, queries.depths))
    if len(again):
        hits = partition.search()(_some_queries(queries, again, length_Q))
        lists = replace_lists(lists, again, fresh_lists(hits, length_Q[again]))
    return lists, scored + len(again) * partition.documents


def _commit(cell: Cell, queries: Queries, keys_Q: Keys, lists: Lists, scored: int, store: Store) -> int:
    with store.staging() as staged:
        content, rows = write_cell(lists, queries.depths, keys_Q, staged)
        facts: dict[str, object] = {"queries": len(queries.rows), "scored": scored}
        store.commit(CellRef, cell.fingerprint, content, rows, staged, facts)
    return scored


def _some_queries(queries: Queries, rows: Rows, depth_Q: Rows) -> Queries:
    return Queries(
        rows=queries.rows[rows],
        query_id=queries.query_id.gather(rows),
        text=queries.text.gather(rows),
        depths=depth_Q[rows],
        until=queries.until[rows],
    )


def _some_documents(documents: Documents, rows: Rows) -> Documents:
    return Documents(
        doc_id=documents.doc_id.gather(rows),
        text=documents.text.gather(rows),
        rows=documents.rows[rows],
        created=documents.created[rows],
    )
