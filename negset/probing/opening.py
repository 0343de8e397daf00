"""Find what a probe needs: the sets, the snapshot that they were made from, and the vectors that were mined with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

import polars as pl

from negset import building
from negset.encoders.encoder import Role, prepare_encoder
from negset.errors import ArtifactError, ConfigError, InputError
from negset.probing.collection import ProbeCollection, open_collection
from negset.probing.examples import ProbeSet, number_set
from negset.probing.measuring import Probe
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import Snapshot, open_snapshot
from negset.sources.reading import source_fingerprint
from negset.store import Store
from negset.vectors import find_vectors, open_vectors, vectors_fingerprint
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef, SnapshotRef

Kind = Literal["adapter", "static"]


@dataclass(frozen=True)
class OpenedSets:
    """Sets on one snapshot. `encoder` names whose vectors they were mined with, empty where none were needed."""

    snapshot: Snapshot
    collection: ProbeCollection
    encoder: str
    sets: tuple[ProbeSet, ...]


def open_sets(paths: Sequence[Path], config: BuildConfig | None, store: Store) -> OpenedSets:
    """Open published sets and Parquet files of negatives (query_id, doc_id) that are about the same snapshot.

    The snapshot and the encoder are those of `config`, else those that the published sets name.
    Raises ConfigError where these differ, or nothing names them, ArtifactError where the snapshot is not in `store`.
    """
    published = {path: read_set(path) for path in paths if path.is_dir()}
    ref = find_snapshot(published, config, store)
    snapshot = open_snapshot(store, ref)
    collection = open_collection(snapshot)
    names = set_names(paths)
    return OpenedSets(
        snapshot=snapshot,
        collection=collection,
        encoder=building.encoder_of(config, ref, store) if config else _one_encoder(published),
        sets=tuple(_number(collection, names[path], path, published.get(path)) for path in paths),
    )


def find_snapshot(published: dict[Path, PublishedSet], config: BuildConfig | None, store: Store) -> SnapshotRef:
    """Give the one snapshot of `config` and of the `published` sets."""
    contents = {opened.manifest.source.content: path for path, opened in published.items()}
    ref = configured_snapshot(config, store) if config else None
    for content, path in contents.items():
        if ref is None:
            ref = building.require_current(store, content)
        elif ref.content != content:
            message = (
                f"{path} was made from another corpus than the others (content {content[:16]}, not "
                f"{ref.content[:16]}): its measures could not be compared. Probe it by itself, or build it again"
            )
            raise ConfigError(message)
    if ref is None:
        message = "a file of negatives does not say which corpus it is about: give --config, or a published set too"
        raise ConfigError(message)
    return ref


def configured_snapshot(config: BuildConfig, store: Store) -> SnapshotRef:
    """Give the snapshot that `config` was last read into; raise ArtifactError where it was not read."""
    ref = store.ref(SnapshotRef, source_fingerprint(config.source))
    if ref is None:
        message = f"the source of {config.name!r} is not in {store.root}; run negset build first"
        raise ArtifactError(message)
    return ref


def _one_encoder(published: dict[Path, PublishedSet]) -> str:
    encoders = {
        opened.manifest.encoder.fingerprint: path
        for path, opened in published.items()
        if opened.manifest.encoder is not None
    }
    if len(encoders) > 1:
        names = ", ".join(f"{path} ({encoder[:16]})" for encoder, path in encoders.items())
        message = (
            f"the sets were mined with different encoders: {names}. Give --config to say whose vectors to probe on"
        )
        raise ConfigError(message)
    return next(iter(encoders), "")


def set_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name each set by the end of its path, by all of it where two would share a name.

    Raises ConfigError for a path given twice.
    """
    short = {path: path.stem if path.suffix == ".parquet" else path.name for path in paths}
    if len(short) < len(paths):
        twice = [str(path) for path, count in Counter(paths).items() if count > 1]
        message = f"{', '.join(twice)}: given more than once"
        raise ConfigError(message)
    shared = Counter(short.values())
    return {path: name if shared[name] == 1 else str(path) for path, name in short.items()}


def _number(collection: ProbeCollection, name: str, path: Path, published: PublishedSet | None) -> ProbeSet:
    if published is not None:
        return number_set(collection, name, published.table("negatives"), published.table("positives"))
    try:
        return number_set(collection, name, pl.read_parquet(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{path} is neither the folder of a set nor a Parquet of query_id and doc_id: {error}"
        raise InputError(message) from error


def open_probe(kind: Kind, snapshot: Snapshot, collection: ProbeCollection, encoder: str, store: Store) -> Probe:
    """Open the probe `kind` on `snapshot`: over the vectors of `encoder`, or over the words of LSA, fitted if need be.

    Raises ConfigError where an adapter has no encoder, ArtifactError where its vectors are not in `store`.
    """
    if kind == "static":
        return _words_probe(snapshot, collection, store)
    if not encoder:
        message = "no set was mined with vectors: give --kind static, or --config to say whose vectors to probe on"
        raise ConfigError(message)
    adapter = import_module("negset.probing.adapter").AdapterProbe
    return cast("Probe", adapter(*(_vectors(snapshot, encoder, role, store) for role in ("query", "document"))))


def _vectors(snapshot: Snapshot, encoder: str, role: Role, store: Store) -> object:
    named = EncoderRef(fingerprint=encoder, content=encoder, rows=0)
    ref = find_vectors(store, vectors_fingerprint(named, snapshot.content, role))
    if ref is None:
        message = (
            f"the {role} vectors of encoder {encoder[:16]} are not in {store.root}; build a set with the miner "
            "'dense' there, or give --kind static"
        )
        raise ArtifactError(message)
    return open_vectors(store, ref).gather(building.role_texts(snapshot, role)[1])


def _words_probe(snapshot: Snapshot, collection: ProbeCollection, store: Store) -> Probe:
    ref = prepare_encoder(EncoderConfig(backend="lsa"), snapshot, store)
    model = import_module("negset.encoders.lsa").load_lsa(store.open(ref.kind, ref.fingerprint))
    start = import_module("negset.training.model").StaticStart(model.tokens, model.embeddings)
    return cast("Probe", import_module("negset.probing.words").open_words(collection, start))
