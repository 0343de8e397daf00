"""Embedding that several share: a plan of the texts without a vector, and the shards that each then embeds.

The plan is an artifact: what is missing changes while others embed, and all must cut the same shards.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, Role
from negset.fingerprint import fingerprint
from negset.shards import Storage, digest_texts
from negset.snapshot import Snapshot
from negset.store import Store
from negset.text import document_texts
from negset.vectors import embed_shard, missing_rows
from schemas.refs import EmbedPlanRef

ROWS: Final = "rows.npy"


def plan_embedding(encoder: Encoder, snapshot: Snapshot, role: Role, store: Store) -> EmbedPlanRef:
    """Commit which texts of `role` no shard of `encoder` holds: their rows among all texts, in the order of shards."""
    ids, texts = zip(*texts_at(snapshot, role), strict=True)
    digests_T = np.concatenate([digest_texts(part, role) for part in texts])
    rows_M = missing_rows(encoder, [name for part in ids for name in part], digests_T, role, store)
    key = fingerprint(
        "embed plan", encoder.fingerprint, snapshot.content, role, hashlib.sha256(rows_M.tobytes()).hexdigest()
    )
    with store.staging() as staged:
        np.save(staged / ROWS, rows_M, allow_pickle=False)
        return store.commit(EmbedPlanRef, key, key, len(rows_M), staged)


def embed_planned(
    encoder: Encoder,
    snapshot: Snapshot,
    role: Role,
    plan: EmbedPlanRef,
    shards: range,
    shard_size: int,
    store: Store,
    storage: Storage = "float32",
) -> None:
    """Embed these `shards` of `plan`, `shard_size` texts each. No partition is read of which they have no text."""
    rows_M: NDArray[np.int64] = np.load(store.open(EmbedPlanRef.kind, plan.fingerprint) / ROWS, allow_pickle=False)
    for number in shards:
        rows = rows_M[number * shard_size : (number + 1) * shard_size]
        found = list(texts_at(snapshot, role, rows))
        ids, texts = ([one for part in parts for one in part] for parts in zip(*found, strict=True))
        embed_shard(encoder, ids, texts, role, store, storage)


def texts_at(
    snapshot: Snapshot, role: Role, rows: NDArray[np.int64] | None = None
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield ids and texts of `role` at these ascending `rows`, or all, partition by partition."""
    if role == "query":
        queries = snapshot.queries()
        chosen = queries if rows is None else queries[rows]
        yield chosen["query_id"].to_list(), chosen["text"].to_list()
        return
    start = 0
    for name in snapshot.partitions():
        end = start + snapshot.partition_facts[name].documents
        inside = None if rows is None else rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)] - start
        start = end
        if inside is None or len(inside):
            documents = snapshot.documents(name)
            documents = documents if inside is None else documents[inside]
            yield documents["doc_id"].to_list(), document_texts(documents).to_list()
