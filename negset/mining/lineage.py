"""What was mined before for a dataset, so that a changed corpus is not mined from nothing.

A small file in the store names the latest planes of each dataset and miner. It decides what work is saved and
never what a cell holds: a lost or stale file costs time alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Rows
from negset.errors import ArtifactError
from negset.fingerprint import canonical_json, fingerprint
from negset.mining.cell_files import Cell, Keys, find_members, match_keys, read_lists
from negset.mining.lists import Lists, join_lists
from negset.search import Hits
from negset.store import Store, locked, write_durably
from schemas.refs import CellsRef

KEPT: Final = 8
"""Planes remembered for each dataset and miner: a nightly build and a backfill of other days do not lose each other."""
WORTH: Final = 0.5
"""Share of a partition's documents that may be new before it is mined from nothing."""


@dataclass(frozen=True)
class Plane:
    """Mined cells of one miner: what they depend on beside texts, the content of each partition, their queries."""

    identity: str
    contents: dict[str, str]
    blocks: list[tuple[str, str]]
    """First and last query of each block."""
    cells: list[Cell]


@dataclass(frozen=True)
class Change:
    """How a partition differs from one that was mined before.

    `now_M` is the present row of each earlier document, -1 for one that left; `added` are the rows that came.
    """

    plane: Plane
    now_M: Rows
    added: Rows

    @property
    def left(self) -> int:
        """Count the documents that left."""
        return int((self.now_M < 0).sum())


def read_plane(store: Store, key: str) -> Plane | None:
    """Read the mined cells of this `key`; None where they are gone."""
    manifest = store.find(CellsRef.kind, key)
    if manifest is None:
        return None
    facts = json.loads(canonical_json(manifest.facts))
    cells = [Cell(int(block), str(partition), str(name)) for block, partition, name in facts["cells"]]
    blocks = [(str(first), str(last)) for first, last in facts["blocks"]]
    return Plane(str(facts["identity"]), dict(facts["contents"]), blocks, cells)


def earlier_planes(store: Store, dataset: str, miner: str, identity: str = "") -> list[Plane]:
    """Give the planes that `miner` filled before for `dataset`, the latest first; only those of an `identity` given."""
    return read_planes(store, known_planes(store, dataset, miner), identity)


def read_planes(store: Store, keys: Sequence[str], identity: str = "") -> list[Plane]:
    """Read the mined cells of these `keys`, those that are there; only those of an `identity` given."""
    planes = [read_plane(store, key) for key in keys]
    return [plane for plane in planes if plane is not None and identity in ("", plane.identity)]


def known_planes(store: Store, dataset: str, miner: str) -> list[str]:
    """Give the keys of what `miner` mined before for `dataset`, the latest first, as this machine remembers them."""
    try:
        return [str(key) for key in json.loads(_place(store, dataset, miner).read_bytes())]
    except (OSError, ValueError):
        return []


def remember_plane(store: Store, dataset: str, miner: str, key: str) -> None:
    """Put the mined cells of `key` first among those that are remembered."""
    path = _place(store, dataset, miner)
    with locked(path.with_suffix(".lock")):
        kept = [key, *(one for one in known_planes(store, dataset, miner) if one != key)][:KEPT]
        write_durably(path, canonical_json(kept).encode())


def find_change(store: Store, planes: Sequence[Plane], partition: str, keys_N: Keys) -> Change | None:
    """Compare a partition, whose documents have `keys_N`, with the earlier one that it differs least from.

    None where none was mined under its name, or where it has changed so much that patching does not pay.
    """
    changes = [change for plane in planes if (change := _compare(store, plane, partition, keys_N)) is not None]
    best = min(changes, key=lambda change: len(change.added) + change.left, default=None)
    return best if best is not None and len(best.added) <= WORTH * len(keys_N) else None


def carry_lists(
    store: Store, change: Change, partition: str, first: str, last: str, keys_Q: Keys
) -> tuple[Lists, NDArray[np.bool_]]:
    """Give the earlier lists of queries from id `first` to `last`, in present rows, and which queries had one.

    Documents that left are gone from them, and a query of another text or time counts as a new one.
    """
    parts: list[tuple[Rows, Lists]] = []
    carried_Q = np.zeros(len(keys_Q), dtype=bool)
    for cell in change.plane.cells:
        low, high = change.plane.blocks[cell.block]
        if cell.partition != partition or high < first or low > last:
            continue
        try:
            lists, old_keys_Q = read_lists(store, cell.fingerprint)
        except ArtifactError:
            continue  # what is damaged is mined again
        row_O = match_keys(old_keys_Q, keys_Q)
        parts.append((row_O[row_O >= 0], _present(lists, row_O, change.now_M)))
        carried_Q[row_O[row_O >= 0]] = True
    return join_lists(parts, len(keys_Q)), carried_Q


def _present(lists: Lists, row_O: Rows, now_M: Rows) -> Lists:
    """Keep the queries that are still asked, numbered from 0, and the documents that are still there."""
    asked_O = row_O >= 0
    number_O = np.cumsum(asked_O) - 1
    hits = lists.hits
    kept = asked_O[hits.query] & (now_M[hits.doc] >= 0)
    present = Hits(number_O[hits.query[kept]], now_M[hits.doc[kept]], hits.score[kept])
    # A list holds the documents before its floor's row: those up to the last one of them that is still there.
    last_M = np.r_[0, np.maximum.accumulate(now_M + 1)] if len(now_M) else np.zeros(1, dtype=np.int64)
    return Lists(present, lists.floor_Q[asked_O], last_M[lists.floor_doc_Q[asked_O]])


def _compare(store: Store, plane: Plane, partition: str, keys_N: Keys) -> Change | None:
    content = plane.contents.get(partition)
    old_M = find_members(store, content) if content is not None else None
    if old_M is None:
        return None
    now_M = match_keys(old_M, keys_N)
    came_N = np.ones(len(keys_N), dtype=bool)
    came_N[now_M[now_M >= 0]] = False
    return Change(plane, now_M, np.flatnonzero(came_N))


def _place(store: Store, dataset: str, miner: str) -> Path:
    return store.root / "lineage" / f"{fingerprint('lineage', dataset, miner)[:32]}.json"
