"""Shards of vectors: artifacts of their own, so that what one run embedded every later run finds.

A shard holds `vectors.npy` (float32 or float16, a row for each text) and `texts.parquet` (the texts' digests,
ascending, row for row). Its fingerprint begins with that of its encoder and role, so that these are found by name.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.encoders.encoder import Role
from negset.errors import ContractError, listed
from negset.fingerprint import fingerprint
from negset.store import Store
from negset.tables import read_table, write_table
from schemas.refs import Ref

VECTORS = "vectors.npy"
TEXTS = "texts.parquet"
DIGEST = "S32"
"""numpy's type of a digest. It compares bytes from the first on; all digests are of one length, so none is padded."""
FAMILY = 24
"""Hex digits of a shard's fingerprint that say its encoder and role."""


Storage = Literal["float32", "float16"]
Stored = NDArray[np.float32] | NDArray[np.float16]


class ShardRef(Ref):
    """Vectors of some texts."""

    kind: ClassVar[str] = "shard"


def digest_texts(texts: Iterable[str], role: Role) -> NDArray[np.bytes_]:
    """Hash each of `texts`, exactly as it stands, together with `role`."""
    start = hashlib.sha256(f"{role}\0".encode())
    digests = []
    for text in texts:
        digest = start.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests.append(digest.digest())
    return np.array(digests, dtype=DIGEST)


def shard_family(encoder: str, role: Role) -> str:
    """Give the first digits that the fingerprints of all shards of `encoder` and `role` share."""
    return fingerprint("shards", encoder, role)[:FAMILY]


def find_shards(store: Store, encoder: str, role: Role, dimensions: int) -> list[str]:
    """List the fingerprints of the whole shards of `encoder` and `role`, sorted.

    Raises ContractError where one has other than `dimensions`: then a service changed its model unseen.
    """
    whole = []
    for name in store.names(ShardRef.kind, shard_family(encoder, role)):
        manifest = store.find(ShardRef.kind, name)
        if manifest is not None and manifest.facts["dimensions"] != dimensions:
            message = (
                f"the encoder gives {dimensions} dimensions, its stored vectors have {manifest.facts['dimensions']} "
                f"({store.folder(ShardRef.kind, name)}): delete them, or name the encoder's revision"
            )
            raise ContractError(message)
        if manifest is not None:
            whole.append(name)
    return whole


def write_shard(
    store: Store,
    encoder: str,
    role: Role,
    digests_N: NDArray[np.bytes_],
    vectors_ND: NDArray[np.float32],
    storage: Storage = "float32",
) -> ShardRef:
    """Commit the vectors of the texts with `digests_N`, which ascend, rounded to `storage`."""
    content = hashlib.sha256(digests_N.tobytes()).hexdigest()
    key = shard_family(encoder, role) + content[FAMILY:]
    with store.staging() as staged:
        np.save(staged / VECTORS, np.ascontiguousarray(vectors_ND, dtype=storage), allow_pickle=False)
        write_table(pl.DataFrame({"sha256": digest_list(digests_N)}), "shard_texts", staged / TEXTS)
        facts: dict[str, object] = {"encoder": encoder, "role": role, "dimensions": int(vectors_ND.shape[1])}
        return store.commit(ShardRef, key, content, len(digests_N), staged, facts)


def read_digests(folder: Path) -> NDArray[np.bytes_]:
    """Read the digests of the texts of the shard in `folder`, in the order of its rows."""
    return np.array(read_table(folder / TEXTS).get_column("sha256").to_list(), dtype=DIGEST)


def map_vectors(folder: Path) -> Stored:
    """Map the vectors of the shard in `folder` into memory."""
    vectors_ND: Stored = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    return vectors_ND


def digest_list(digests_N: NDArray[np.bytes_]) -> list[bytes]:
    """Give `digests_N` as byte strings of 32; numpy's own list would lose zero bytes at their ends."""
    raw = digests_N.tobytes()
    return [raw[start : start + 32] for start in range(0, len(raw), 32)]


def check_vectors(vectors_ND: NDArray[np.float32], ids: Sequence[str], dimensions: int, what: str) -> None:
    """Raise ContractError unless `vectors_ND` are (len(ids), `dimensions`) finite vectors of length 1.

    The message starts with `what` and names the first 20 of `ids` that are at fault.
    """
    if vectors_ND.shape != (len(ids), dimensions):
        message = f"{what} of shape {vectors_ND.shape}, not {(len(ids), dimensions)}"
        raise ContractError(message)
    finite_N = np.count_nonzero(np.isfinite(vectors_ND), axis=1)
    _refuse(finite_N < dimensions, ids, f"{what} that are not finite; look at these texts")
    length_N: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64))
    _refuse(length_N == 0, ids, f"{what} that are zero; their texts are usually empty")
    # bfloat16 rounds to 2 or 3 digits; an encoder that forgot to normalise is further off.
    _refuse(np.abs(length_N - 1) > 0.01, ids, f"{what} that are not of length 1; the encoder must normalise")


def _refuse(wrong_N: NDArray[np.bool_], ids: Sequence[str], fault: str) -> None:
    if wrong_N.any():
        named = [ids[row] for row in np.flatnonzero(wrong_N).tolist()]
        message = f"{fault}: {len(named)} of {len(ids)} in a shard, ids {listed(named)}"
        raise ContractError(message)
