"""One vector for each distinct text of a role: embedded shard by shard, looked up by text.

Texts are known by the digest of their exact characters and their role. What any earlier build embedded with the
same encoder is not embedded again. Which shard a text lies in follows from history and is published nowhere.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, Role
from negset.errors import ArtifactError
from negset.fingerprint import fingerprint as fingerprint_of
from negset.progress import Progress, no_progress
from negset.shards import (
    DIGEST,
    ShardRef,
    Storage,
    Stored,
    check_vectors,
    digest_texts,
    find_shards,
    map_vectors,
    read_digests,
    write_shard,
)
from negset.store import Store
from schemas.refs import EncoderRef, VectorsRef

VERSION = 1
_MAPPED = 32  # shards that stay mapped: 400 MB of address space at 8,192 vectors of 384 dimensions each
DIGESTS = "digests.npy"
PLACES = "places.npy"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Where vectors lie: to each of `digests`, ascending, its number in `shards` and its row there, (n, 2)."""

    shards: list[str]
    digests: NDArray[np.bytes_]
    places: NDArray[np.uint32]


@dataclass(frozen=True)
class Vectors:
    """The vectors of one role, in files of which a bounded number is mapped into memory."""

    role: Role
    dimensions: int
    places: Places
    read_shard: Callable[[int], Stored]

    def rows(self, texts: Sequence[str]) -> "TextRows":
        """Find the vectors of exactly these `texts`, to be read some rows at a time.

        Raises ArtifactError where a text was not embedded.
        """
        wanted_N = digest_texts(texts, self.role)
        rows_N, found_N = look_up(self.places.digests, wanted_N)
        if not found_N.all():
            first = texts[int(np.flatnonzero(~found_N)[0])]
            message = (
                f"{int((~found_N).sum())} of {len(texts)} {self.role} texts were not embedded, first {first[:60]!r}"
            )
            raise ArtifactError(message)
        return TextRows(self.read_shard, self.places.places[rows_N], self.dimensions)

    def gather(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the vectors of exactly these `texts`: (n, d), in their order."""
        return self.rows(texts)[:]


@dataclass(frozen=True)
class TextRows:
    """Vectors by row number, (n, d): to each the number of its shard and its row there."""

    read_shard: Callable[[int], Stored]
    places_N2: NDArray[np.uint32]
    dimensions: int

    @property
    def shape(self) -> tuple[int, int]:
        """Give (n, d)."""
        return len(self.places_N2), self.dimensions

    def __len__(self) -> int:
        return len(self.places_N2)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the vectors of `rows` as float32."""
        places_M2 = self.places_N2[rows]
        vectors_MD = np.empty((len(places_M2), self.dimensions), dtype=np.float32)
        by_place = np.lexsort((places_M2[:, 1], places_M2[:, 0]))  # read each file from front to back
        shard_M = places_M2[by_place, 0]
        borders = np.flatnonzero(np.diff(shard_M)) + 1
        for here in np.split(by_place, borders) if len(by_place) else []:
            vectors_MD[here] = self.read_shard(int(places_M2[here[0], 0]))[places_M2[here, 1]]
        return vectors_MD


def vectors_fingerprint(encoder: EncoderRef, texts_content: str, role: Role) -> str:
    """Name the vectors of `role` that `encoder` gives the texts whose digest is `texts_content`."""
    return fingerprint_of("vectors", VERSION, encoder.content, texts_content, role)


def embed_texts(
    encoder: Encoder,
    ids: Sequence[str],
    texts: Sequence[str],
    role: Role,
    store: Store,
    shard_size: int,
    fingerprint: str,
    progress: Progress = no_progress,
    storage: Storage = "float32",
) -> VectorsRef:
    """Embed those of `texts` that no shard of `encoder` holds, `shard_size` at a time, and commit where all lie.

    A text with several of `ids` is embedded once, as the first of them by name. Every shard is committed before
    the next is begun. Raises ContractError naming ids whose vectors are not finite, zero, or of another width.
    """
    digests_T = digest_texts(texts, role)
    missing_M = missing_rows(encoder, ids, digests_T, role, store)
    wanted_N, _ = distinct_texts(ids, digests_T)
    step = f"embed {role}"
    done = len(wanted_N) - len(missing_M)
    progress(step, done, len(wanted_N))
    _log.info("%s: %d distinct texts, %d of them embedded before", step, len(wanted_N), done)
    for start in range(0, len(missing_M), shard_size):
        rows = missing_M[start : start + shard_size]
        embed_shard(encoder, [ids[row] for row in rows], [texts[row] for row in rows], role, store, storage)
        done += len(rows)
        progress(step, done, len(wanted_N))
    places = locate_texts(store, find_shards(store, encoder.fingerprint, role, encoder.dimensions), wanted_N)
    return commit_places(store, encoder.fingerprint, encoder.dimensions, role, fingerprint, places)


def missing_rows(
    encoder: Encoder, ids: Sequence[str], digests_T: NDArray[np.bytes_], role: Role, store: Store
) -> NDArray[np.int64]:
    """Give the rows of the texts with `digests_T` that no shard of `encoder` holds, each text once.

    In the order of the texts as given: those that are read together later lie together.
    """
    wanted_N, firsts_N = distinct_texts(ids, digests_T)
    shards = find_shards(store, encoder.fingerprint, role, encoder.dimensions)
    known_N = np.isin(wanted_N, known_digests(store, shards), assume_unique=False)
    return np.sort(firsts_N[~known_N])


def embed_shard(
    encoder: Encoder, ids: Sequence[str], texts: Sequence[str], role: Role, store: Store, storage: Storage = "float32"
) -> ShardRef:
    """Embed these distinct `texts` and commit them as one shard, in the order of their digests.

    Raises ContractError naming `ids` whose vectors are not finite, zero, or of another width.
    """
    digests_N = digest_texts(texts, role)
    order_N = np.argsort(digests_N)
    names = [ids[row] for row in order_N]
    vectors_ND = encoder.encode([texts[row] for row in order_N], names, role)
    check_vectors(vectors_ND, names, encoder.dimensions, f"the encoder gave {role} vectors")
    return write_shard(store, encoder.fingerprint, role, digests_N[order_N], vectors_ND, storage)


def find_vectors(store: Store, fingerprint: str) -> VectorsRef | None:
    """Give the reference of embedded texts whose shards are all there and whole, else None."""
    ref = store.ref(VectorsRef, fingerprint)
    return ref if ref is not None and _shards_exist(store, fingerprint) else None


def open_vectors(store: Store, ref: VectorsRef) -> Vectors:
    """Open the vectors of `ref` after checking every file; raise ArtifactError where one is missing or damaged."""
    folder = store.open(VectorsRef.kind, ref.fingerprint)
    facts = store.manifest(VectorsRef.kind, ref.fingerprint).facts
    places = _read_places(folder, _listed_shards(facts))
    with ThreadPoolExecutor(2) as workers:  # digesting leaves Python's lock
        folders = list(workers.map(partial(store.open, ShardRef.kind), places.shards))
    return Vectors(
        role="query" if facts["role"] == "query" else "document",
        dimensions=int(str(facts["dimensions"])),
        places=places,
        read_shard=_shard_reader(folders),
    )


def _shard_reader(folders: list[Path]) -> Callable[[int], Stored]:
    """Give a function that maps a shard by number and keeps the last few mapped."""

    @lru_cache(_MAPPED)
    def read(number: int) -> Stored:
        return map_vectors(folders[number])

    return read


def distinct_texts(ids: Sequence[str], digests_T: NDArray[np.bytes_]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Give the distinct digests, ascending, and for each the row of its text with the smallest id."""
    order_T = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    distinct_N, first_N = np.unique(digests_T[order_T], return_index=True)
    return distinct_N, order_T[first_N]


def known_digests(store: Store, shards: Sequence[str]) -> NDArray[np.bytes_]:
    """Give the digests of all texts in `shards`."""
    parts = [read_digests(store.held(ShardRef.kind, name)) for name in shards]
    return np.concatenate(parts) if parts else np.empty(0, dtype=DIGEST)


def locate_texts(store: Store, shards: Sequence[str], wanted_N: NDArray[np.bytes_]) -> Places:
    """Find the shard and row of each of `wanted_N`; of several shards the first by name, and only shards in use."""
    places_N2 = np.zeros((len(wanted_N), 2), dtype=np.uint32)
    open_N = np.ones(len(wanted_N), dtype=np.bool_)
    used: list[str] = []
    for name in shards:
        rows_N, found_N = look_up(read_digests(store.held(ShardRef.kind, name)), wanted_N)
        found_N &= open_N
        if found_N.any():
            places_N2[found_N, 0] = len(used)
            places_N2[found_N, 1] = rows_N[found_N]
            open_N &= ~found_N
            used.append(name)
    return Places(shards=used, digests=wanted_N, places=places_N2)


def look_up(sorted_N: NDArray[np.bytes_], wanted_M: NDArray[np.bytes_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give the row of each of `wanted_M` in `sorted_N` and whether it is there at all."""
    if not len(sorted_N):
        return np.zeros(len(wanted_M), dtype=np.int64), np.zeros(len(wanted_M), dtype=np.bool_)
    rows_M = np.minimum(np.searchsorted(sorted_N, wanted_M), len(sorted_N) - 1)
    return rows_M.astype(np.int64), sorted_N[rows_M] == wanted_M


def commit_places(
    store: Store, encoder: str, dimensions: int, role: Role, fingerprint: str, places: Places
) -> VectorsRef:
    """Commit where the texts of `places` lie; an artifact that points to shards that are gone is replaced."""
    facts: dict[str, object] = {
        "encoder": encoder,
        "role": role,
        "dimensions": dimensions,
        "shards": places.shards,
    }
    digest = hashlib.sha256(places.digests.tobytes()).hexdigest()
    content = fingerprint_of("vectors", encoder, role, digest)
    with store.staging() as staged:
        np.save(staged / DIGESTS, places.digests.view(np.uint8).reshape(-1, 32), allow_pickle=False)
        np.save(staged / PLACES, places.places, allow_pickle=False)
        if store.find(VectorsRef.kind, fingerprint) and not _shards_exist(store, fingerprint):
            store.drop(VectorsRef.kind, fingerprint)  # it points to shards that are gone
        return store.commit(VectorsRef, fingerprint, content, len(places.digests), staged, facts)


def _shards_exist(store: Store, fingerprint: str) -> bool:
    shards = _listed_shards(store.manifest(VectorsRef.kind, fingerprint).facts)
    return all(store.find(ShardRef.kind, name) is not None for name in shards)


def _listed_shards(facts: dict[str, object]) -> list[str]:
    shards = facts["shards"]
    return [str(name) for name in shards] if isinstance(shards, list) else []


def _read_places(folder: Path, shards: list[str]) -> Places:
    digests_N = np.ascontiguousarray(np.load(folder / DIGESTS, allow_pickle=False)).reshape(-1).view(DIGEST)
    return Places(shards=shards, digests=digests_N, places=np.load(folder / PLACES, mmap_mode="r", allow_pickle=False))
