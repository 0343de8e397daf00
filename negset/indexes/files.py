"""Keep an index in the store, and read one back: its digest first, then within limits on what its file may claim."""

from pathlib import Path
from typing import Final

import faiss

from negset.arrays import Matrix
from negset.errors import ArtifactError, ContractError
from negset.indexes.kind import find_kind
from negset.store import Store
from schemas.refs import IndexRef

FILE: Final = "index.faiss"
_BYTES: Final = 4  # of memory for each byte of the file, at most
_LOOPS: Final = 1 << 24


def write_index(store: Store, key: str, kind: str, documents_ND: Matrix, seed: int) -> IndexRef:
    """Build the index of `documents_ND` and commit it under `key`; a damaged one there is replaced."""
    index = find_kind(kind).build_index(documents_ND, seed)
    with store.staging() as staged:
        faiss.write_index(index, str(staged / FILE))
        facts: dict[str, object] = {"kind": kind, "dimensions": documents_ND.shape[1]}
        return store.commit(IndexRef, key, key, len(documents_ND), staged, facts)


def read_index(store: Store, key: str, documents_ND: Matrix) -> faiss.Index:
    """Read the index `key` of `documents_ND`.

    Raises ArtifactError where a byte differs from what was written or faiss cannot read it, and ContractError where
    it is an index of other vectors.
    """
    path = store.open(IndexRef.kind, key) / FILE
    limits = (faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit())
    faiss.set_deserialization_vector_byte_limit(_BYTES * path.stat().st_size)
    faiss.set_deserialization_loop_limit(_LOOPS)
    try:
        index = faiss.read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        message = f"{path} is no index that faiss reads: {str(error)[:200]}. Delete its folder and build again"
        raise ArtifactError(message) from error
    finally:
        faiss.set_deserialization_vector_byte_limit(limits[0])
        faiss.set_deserialization_loop_limit(limits[1])
    _check_shape(index, path, documents_ND)
    return index


def is_sound(store: Store, key: str) -> bool:
    """Tell whether the index `key` is in the store, every byte as it was written."""
    try:
        store.open(IndexRef.kind, key)
    except ArtifactError:
        return False
    return True


def _check_shape(index: faiss.Index, path: Path, documents_ND: Matrix) -> None:
    if (index.ntotal, index.d) != documents_ND.shape:
        message = (
            f"{path} indexes {index.ntotal} vectors of {index.d} dimensions, the partition has {len(documents_ND)} "
            f"of {documents_ND.shape[1]}: both must come from one encoder. Delete the folder and build again"
        )
        raise ContractError(message)
