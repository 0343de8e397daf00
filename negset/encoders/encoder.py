"""What an encoder is, and how one is fingerprinted, prepared and opened.

A backend is a module with the functions of `Backend`. It is imported by name when it is asked for, so that a
build with one of them pays for no other.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ArtifactError, ConfigError
from negset.fingerprint import fingerprint
from negset.pins import read_pin, set_pin
from negset.progress import Progress, no_progress
from negset.store import Store
from schemas.encoder import EncoderConfig
from schemas.refs import EncoderRef

Role = Literal["query", "document"]

BACKENDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lsa": "negset.encoders.lsa",
        "hashing": "negset.encoders.hashing",
        "sentence-transformers": "negset.encoders.model_folder",
        "precomputed": "negset.encoders.precomputed",
        "api": "negset.encoders.api",
    }
)
"""Backend to the module that knows it. None of these modules imports torch or scikit-learn at its top."""

NO_SECRETS: Final[Mapping[str, str]] = MappingProxyType({})


class Encoder(Protocol):
    """Turn texts into unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Identity of everything that can change a vector."""

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the (n, d) L2-normalised vectors of `texts`, whose ids are `ids`, in their order."""


class FittingCorpus(Protocol):
    """What an encoder may be fitted on; a snapshot is one."""

    @property
    def content(self) -> str:
        """Content digest."""

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        """Give the documents sorted by doc_id."""


class Backend(Protocol):
    """What the module of a backend offers."""

    def identify(self, config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
        """Name all that the vectors depend on, without loading a model."""

    def prepare(self, config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
        """Write what `open_folder` needs into `staged`; give the number of rows in it."""

    def open_folder(self, config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
        """Open the encoder that `prepare` wrote to `folder`."""


def load_backend(config: EncoderConfig) -> Backend:
    """Import the module of the backend that `config` names."""
    return cast("Backend", import_module(BACKENDS[config.backend]))


def encoder_fingerprint(config: EncoderConfig, snapshot_content: str) -> str:
    """Hash all that can change a vector: the files of the model, prompts, length, dtype; no path, no batch size.

    `snapshot_content` counts only where the encoder is fitted on the corpus.
    """
    return fingerprint("encoder", config.backend, _identify(config, snapshot_content))


def fitted_content(config: EncoderConfig, snapshot_content: str, store: Store, dataset: str) -> str:
    """Give the content of the snapshot that the encoder is fitted on: under a label, the one of its first build."""
    return read_pin(config, store, dataset) or snapshot_content


def _identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    stored = {"storage": config.storage} if config.storage != "float32" else {}
    return {**load_backend(config).identify(config, snapshot_content), **stored}


def prepare_encoder(
    config: EncoderConfig,
    snapshot: FittingCorpus,
    store: Store,
    progress: Progress = no_progress,
    dataset: str = "",
) -> EncoderRef:
    """Fit or check the encoder that `config` describes and commit it to `store`, unless it is there.

    Under a label (`config.pin`) it is the one that was first fitted for `dataset`. Raises ArtifactError where that is
    gone, since another would move every vector without a word.
    """
    if config.pin and config.backend != "lsa":
        message = f"encoder.pin is for the backend 'lsa'; {config.backend!r} is not fitted on a corpus, leave it out"
        raise ConfigError(message)
    fitted = fitted_content(config, snapshot.content, store, dataset)
    known = store.ref(EncoderRef, encoder_fingerprint(config, fitted))
    if known is None and fitted != snapshot.content:
        message = (
            f"the encoder pinned as {config.pin!r} for {dataset!r} is not in {store.root}: restore it, "
            "or give another label in encoder.pin to fit anew"
        )
        raise ArtifactError(message)
    ref = known or _fit(config, snapshot, store, progress)
    # Pinned once it is there: a build that dies while fitting pins nothing.
    if config.pin and set_pin(config, store, dataset, fitted) != fitted:
        return prepare_encoder(config, snapshot, store, progress, dataset)  # another build was first
    return ref


def _fit(config: EncoderConfig, snapshot: FittingCorpus, store: Store, progress: Progress) -> EncoderRef:
    backend, identity = load_backend(config), _identify(config, snapshot.content)
    key = fingerprint("encoder", config.backend, identity)
    with store.staging() as staged:
        rows = backend.prepare(config, snapshot, staged, progress)
        facts: dict[str, object] = {"backend": config.backend, "snapshot": snapshot.content, "identity": identity}
        return store.commit(EncoderRef, key, key, rows, staged, facts)


def open_encoder(
    config: EncoderConfig, store: Store, ref: EncoderRef, secrets: Mapping[str, str] = NO_SECRETS
) -> Encoder:
    """Open the encoder of `ref`; `secrets` holds what `config.api_key_env` names.

    Raises ArtifactError where the files of the model are no longer those that were fingerprinted, so that
    vectors of two models never mix.
    """
    folder = store.open(EncoderRef.kind, ref.fingerprint)
    facts = store.manifest(EncoderRef.kind, ref.fingerprint).facts
    found = encoder_fingerprint(config, str(facts.get("snapshot", "")))
    if found != ref.content:
        message = (
            f"the {config.backend} encoder changed since it was prepared: its fingerprint was {ref.content[:16]} "
            f"and is {found[:16]} now (files of the model, prompts, length or dtype). Run the build again"
        )
        raise ArtifactError(message)
    return load_backend(config).open_folder(config, folder, ref.content, secrets)
