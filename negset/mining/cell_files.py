"""The files of a cell, as arrays: its candidates, and what it takes to patch it when documents or queries change.

`candidates.npy` holds for each query, in order, the documents it wanted: their rows among the documents of the
partition, which are sorted by id, and their scores. It depends on queries, documents and miner alone. The other
files remember more, and depend on how the cell came about: `reserve.npy` has the documents that follow, `queries.npy`
a key of each query and the floor down to which its list is complete.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Rows
from negset.mining.lists import Lists
from negset.mining.miner import Documents, Queries
from negset.search import Hits, join_hits, ranks
from negset.store import Store
from schemas.refs import CellRef, MembersRef

CANDIDATES: Final = "candidates.npy"
RESERVE: Final = "reserve.npy"
ASKED: Final = "queries.npy"
KEYS: Final = "keys.npy"
PAIR: Final = np.dtype([("query", "<i4"), ("doc", "<i4"), ("score", "<f8")])
QUERY: Final = np.dtype([("key", "u1", 16), ("score", "<f8"), ("doc", "<i4")])
KEY_BYTES: Final = 16

Keys = NDArray[np.uint8]
"""Digests of queries or documents, (n, 16): equal where all that a miner reads of them is equal."""


@dataclass(frozen=True)
class Cell:
    """A place in the plane of one miner: its block and partition, and the artifact that fills it."""

    block: int
    partition: str
    fingerprint: str


def write_cell(lists: Lists, depth_Q: Rows, keys_Q: Keys, folder: Path) -> tuple[str, int]:
    """Write `lists` to `folder`; give the digest of the candidates, which are the first `depth_Q`, and their number."""
    pairs = np.empty(len(lists.hits), dtype=PAIR)
    pairs["query"], pairs["doc"], pairs["score"] = lists.hits.query, lists.hits.doc, lists.hits.score
    wanted = ranks(lists.hits.query) <= depth_Q[lists.hits.query]
    asked = np.empty(len(depth_Q), dtype=QUERY)
    asked["key"], asked["score"], asked["doc"] = keys_Q, lists.floor_Q, lists.floor_doc_Q
    candidates = pairs[wanted]
    for name, array in {CANDIDATES: candidates, RESERVE: pairs[~wanted], ASKED: asked}.items():
        np.save(folder / name, array, allow_pickle=False)
    return hashlib.sha256(candidates.tobytes()).hexdigest(), len(candidates)


def read_candidates(store: Store, cell: str) -> Hits:
    """Read the candidates of the `cell` of this fingerprint: rows of its block's queries and its partition's documents.

    Raises ArtifactError where a file is missing or damaged.
    """
    return _hits(np.load(store.open(CellRef.kind, cell) / CANDIDATES, mmap_mode="r", allow_pickle=False))


def read_lists(store: Store, cell: str) -> tuple[Lists, Keys]:
    """Read the lists of the `cell` of this fingerprint whole, and the keys of its queries."""
    folder = store.open(CellRef.kind, cell)
    candidates, reserve, asked = (np.load(folder / name, allow_pickle=False) for name in (CANDIDATES, RESERVE, ASKED))
    joined = join_hits([_hits(candidates), _hits(reserve)])
    order = np.argsort(joined.query, kind="stable")
    hits = Hits(joined.query[order], joined.doc[order], joined.score[order])
    lists = Lists(hits, asked["score"].astype(np.float64), asked["doc"].astype(np.int64))
    return lists, np.ascontiguousarray(asked["key"])


def query_keys(queries: Queries) -> Keys:
    """Digest the id, the text and the time of each query; how many documents it wants may change."""
    return _digests(queries.query_id, queries.text, queries.until)


def document_keys(documents: Documents) -> Keys:
    """Digest the id, the text and the time of each document."""
    return _digests(documents.doc_id, documents.text, documents.created)


def keep_members(store: Store, partition_content: str, documents: Documents) -> Keys:
    """Give the keys of a partition's documents; they are kept under its content, for later builds to compare with."""
    found = find_members(store, partition_content)
    if found is not None:
        return found
    keys_N = document_keys(documents)
    with store.staging() as staged:
        np.save(staged / KEYS, keys_N, allow_pickle=False)
        content = hashlib.sha256(keys_N.tobytes()).hexdigest()
        store.commit(MembersRef, partition_content, content, len(keys_N), staged)
    return keys_N


def find_members(store: Store, partition_content: str) -> Keys | None:
    """Give the keys of a partition's documents if they were kept."""
    if store.find(MembersRef.kind, partition_content) is None:
        return None
    keys_N: Keys = np.load(store.open(MembersRef.kind, partition_content) / KEYS, allow_pickle=False)
    return keys_N


def match_keys(old_M: Keys, new_N: Keys) -> Rows:
    """Give for each of `old_M` the row of the same key in `new_N`, -1 where it is gone."""
    new = _halves(new_N).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
    found = _halves(old_M).join(new, on=["first", "second"], how="left", maintain_order="left")
    return found.get_column("row").fill_null(-1).to_numpy().astype(np.int64)


def _hits(pairs: NDArray[np.void]) -> Hits:
    return Hits(pairs["query"].astype(np.int64), pairs["doc"].astype(np.int64), pairs["score"].astype(np.float64))


def _digests(ids: pl.Series, texts: pl.Series, times: Rows) -> Keys:
    # The length of the id comes first: ids and texts may hold any character, and no two rows may read the same.
    parts = pl.DataFrame({"size": ids.str.len_bytes(), "id": ids, "text": texts, "time": times})
    joined = parts.select(pl.concat_str("size", "id", "text", "time", separator="\0").cast(pl.Binary)).to_series()
    digest = partial(hashlib.blake2b, digest_size=KEY_BYTES)
    raw = b"".join([digest(row).digest() for row in joined.to_list()])
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, KEY_BYTES)


def _halves(keys_N: Keys) -> pl.DataFrame:
    """Give keys as two columns of numbers, which join several times faster than byte strings."""
    halves_N2 = np.ascontiguousarray(keys_N).view(np.uint64)
    return pl.DataFrame({"first": halves_N2[:, 0], "second": halves_N2[:, 1]})
