"""Open published sets for a comparison of what one does to another: collections, vectors and metadata."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from negset import building
from negset.errors import ConfigError
from negset.probing.adapter import AdapterProbe
from negset.probing.collection import open_collection
from negset.probing.examples import number_set
from negset.probing.opening import open_probe, set_names
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import open_snapshot
from negset.store import Store
from negset.transfer.world import Member


def open_members(paths: Sequence[Path], store: Store) -> list[Member]:
    """Open the sets at `paths` with the vectors that they were mined with.

    Raises ConfigError where a set was mined without vectors or two by different encoders, whose vectors do not share
    a space.
    """
    names, opened = set_names(paths), [read_set(path) for path in paths]
    encoders = {one.manifest.encoder.fingerprint if one.manifest.encoder else "" for one in opened}
    if len(encoders) > 1 or "" in encoders:
        found = ", ".join(f"{names[path]} ({_encoder(one)})" for path, one in zip(paths, opened, strict=True))
        message = (
            f"one encoder for all sets is needed, there are: {found}. LSA is fitted on each corpus anew; a "
            "sentence-transformers model or pinned vectors are the same for all"
        )
        raise ConfigError(message)
    return [_member(names[path], one, store) for path, one in zip(paths, opened, strict=True)]


def _encoder(opened: PublishedSet) -> str:
    return opened.manifest.encoder.fingerprint[:16] if opened.manifest.encoder else "none"


def _member(name: str, opened: PublishedSet, store: Store) -> Member:
    snapshot = open_snapshot(store, building.require_current(store, opened.manifest.source.content))
    collection = open_collection(snapshot)
    encoder = opened.manifest.encoder.fingerprint if opened.manifest.encoder else ""
    probe = cast("AdapterProbe", open_probe("adapter", snapshot, collection, encoder, store))
    chosen = number_set(collection, name, opened.table("negatives"), opened.table("positives"))
    queries = snapshot.queries()
    return Member(
        name,
        collection,
        chosen,
        probe.queries_QD,
        probe.documents_ND,
        queries.get_column("metadata"),
        queries.get_column("asked_at"),
    )
