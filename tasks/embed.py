"""Prepare an encoder and embed the texts of a snapshot."""

import os
from typing import Literal

from negset.building import role_texts
from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.snapshot import open_snapshot
from negset.vectors import embed_texts
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef, SnapshotRef, VectorsRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("encoder")
def prepare(encoder: EncoderConfig, snapshot: SnapshotRef, dataset: str = "", *, fingerprint: str) -> EncoderRef:
    """Fit or check the encoder that is named by `fingerprint`, for `dataset`."""
    store = Place().open_store()
    with shown_progress("encoder") as progress:
        return prepare_encoder(encoder, open_snapshot(store, snapshot), store, progress, dataset)


@room("embed")
def embed(
    encoder: EncoderConfig,
    prepared: EncoderRef,
    snapshot: SnapshotRef,
    role: Literal["query", "document"],
    *,
    fingerprint: str,
) -> VectorsRef:
    """Embed the texts of one `role`; what was embedded before is not embedded again."""
    store = Place().open_store()
    ids, texts = role_texts(open_snapshot(store, snapshot), role)
    opened = open_encoder(encoder, store, prepared, os.environ)
    with shown_progress("embed") as progress:
        return embed_texts(opened, ids, texts, role, store, encoder.shard_size, fingerprint, progress, encoder.storage)
