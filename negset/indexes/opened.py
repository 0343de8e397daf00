"""The indexes of a build: which partition has which, how hard each is searched, and the search of one partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from negset.arrays import Matrix
from negset.errors import ArtifactError
from negset.fingerprint import fingerprint, rows_digest
from negset.indexes.files import is_sound, read_index
from negset.indexes.kind import EXACT, Setting, find_kind, kind_version
from negset.indexes.search import OpenIndex
from negset.mining.miner import Documents
from negset.store import Store
from schemas.config import IndexKind
from schemas.refs import IndexesRef

PARTITIONS: Final = "partitions"


class Entry(BaseModel):
    """The index of one partition. `kind` is `exact` where the partition is searched without one, for that `reason`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    documents: int
    doc_ids: str
    """Digest of the ids of the documents, by which an index is found."""
    kind: IndexKind
    key: str = ""
    setting: Setting = Setting()
    reason: str = ""


@dataclass(frozen=True)
class Indexes:
    """All indexes of a build. `content` names what of them can change a row; it is empty where all is exact."""

    store: Store
    content: str
    entries: Mapping[str, Entry]

    def open_index(self, documents: Documents, documents_ND: Matrix) -> OpenIndex | None:
        """Open the index of the partition that holds these `documents`; None where it is searched exactly."""
        wanted = digest_ids(documents.doc_id)
        entry = next((one for one in self.entries.values() if one.doc_ids == wanted), None)
        if entry is None:
            message = f"no index was made of these {len(documents.doc_id)} documents: index the snapshot again"
            raise ArtifactError(message)
        return None if entry.kind == EXACT else open_entry(self.store, entry, documents_ND)


def open_entry(store: Store, entry: Entry, documents_ND: Matrix) -> OpenIndex:
    """Read the index of `entry` and make it ready."""
    index = read_index(store, entry.key, documents_ND)
    return OpenIndex(find_kind(entry.kind).open_index(index, documents_ND), documents_ND, entry.setting)


def digest_ids(doc_id: pl.Series) -> str:
    """Hash the ids of the documents of a partition."""
    return rows_digest(pl.DataFrame({"doc_id": doc_id}), ["doc_id"])


def indexes_content(entries: Mapping[str, Entry], seed: int) -> str:
    """Name what of the indexes can change a row: kinds and settings by partition; empty where all is exact.

    The documents and the encoder stand in the names of the cells already.
    """
    used = {
        name: [entry.kind, kind_version(entry.kind), entry.setting]
        for name, entry in entries.items()
        if entry.kind != EXACT
    }
    return fingerprint("indexes", seed, used) if used else ""


def find_indexes(store: Store, key: str) -> IndexesRef | None:
    """Give the reference of indexes all of which are there, every byte as it was written, else None."""
    ref = store.ref(IndexesRef, key)
    if ref is None:
        return None
    entries = listed_entries(store, ref).values()
    return ref if all(entry.kind == EXACT or is_sound(store, entry.key) for entry in entries) else None


def open_indexes(store: Store, ref: IndexesRef) -> Indexes:
    """Give the indexes that `ref` stands for; each is read when its partition is searched."""
    entries = listed_entries(store, ref)
    return Indexes(store, ref.content, entries)


def listed_entries(store: Store, ref: IndexesRef) -> dict[str, Entry]:
    """Give the index of each partition."""
    listed = store.manifest(ref.kind, ref.fingerprint).facts.get(PARTITIONS)
    if not isinstance(listed, dict):
        message = f"indexes {ref.fingerprint[:16]} in {store.root} list no partitions. Delete them and build again"
        raise ArtifactError(message)
    return {str(name): Entry.model_validate(entry) for name, entry in listed.items()}
