"""Latent semantic analysis as a static bag of word embeddings: the embedded default encoder.

The vector of a text is exactly `normalise(sum over its known words, with multiplicity, of embeddings[word])`,
so a trained bag of embeddings can start from it. `lsa_fitting` says how the embeddings come about.
A text without a known word (or whose words cancel out) gets the direction that hashing its words gives: equal
texts stay equal, others are nearly orthogonal, and no text that is not blank has a zero vector.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, FittingCorpus, Role
from negset.encoders.hashing import hash_texts
from negset.encoders.tokens import bag_tokens, count_matrix, normalise_rows
from negset.errors import ArtifactError
from negset.fingerprint import canonical_json
from negset.progress import Progress
from schemas.encoder import EncoderConfig

VERSION = 1
TOKENS = "tokens.json"
EMBEDDINGS = "embeddings.npy"
BLOCK = 8192
"""Texts encoded at once."""
SMALLEST = 1e-12
"""Length under which a sum of embeddings is rounding noise; the mean embedding has length 1."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LsaModel:
    """Words, sorted, and the embedding of each: (words, dimensions)."""

    tokens: list[str]
    embeddings: NDArray[np.float32]


@dataclass(frozen=True)
class LsaEncoder:
    """Encode by a fitted model."""

    fingerprint: str
    model: LsaModel

    @property
    def dimensions(self) -> int:
        """Give the width of the vectors: that asked for, or less on a corpus of fewer documents or words."""
        return int(self.model.embeddings.shape[1])

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode `texts`; `ids` and `role` change nothing."""
        blocks = [self._encode_block(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        return np.concatenate([np.empty((0, self.dimensions), dtype=np.float32), *blocks])

    def _encode_block(self, texts: Sequence[str]) -> NDArray[np.float32]:
        sums_ND = sum_embeddings(self.model, texts)
        unknown = np.flatnonzero(np.linalg.norm(sums_ND, axis=1) < SMALLEST)
        vectors_ND = normalise_rows(sums_ND)
        if unknown.size:
            _log.info("%d of %d texts hold no word that lsa knows: hashed instead", unknown.size, len(texts))
            vectors_ND[unknown] = hash_texts([texts[row] for row in unknown.tolist()], self.dimensions)
        return vectors_ND


def identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    """Name what the vectors depend on: the corpus too, since the encoder is fitted on it."""
    return {"version": VERSION, "dimensions": config.dimensions, "snapshot": snapshot_content}


def prepare(config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
    """Fit the model on the documents of `snapshot` and write it to `staged`; give the size of its vocabulary."""
    fitting = import_module("negset.encoders.lsa_fitting")
    model: LsaModel = fitting.fit_lsa(snapshot.documents(), config.dimensions, progress)
    save_lsa(model, staged)
    return len(model.tokens)


def open_folder(config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
    """Open the model in `folder`."""
    return LsaEncoder(fingerprint=fingerprint, model=load_lsa(folder))


def save_lsa(model: LsaModel, folder: Path) -> None:
    """Write `model` to `folder`."""
    (folder / TOKENS).write_text(canonical_json(model.tokens), encoding="utf-8")
    np.save(folder / EMBEDDINGS, model.embeddings, allow_pickle=False)


def load_lsa(folder: Path) -> LsaModel:
    """Read the model in `folder`; raise ArtifactError where its two files do not fit together."""
    try:
        tokens = [str(token) for token in json.loads((folder / TOKENS).read_text(encoding="utf-8"))]
        embeddings_WD = np.load(folder / EMBEDDINGS, allow_pickle=False)
    except (OSError, ValueError) as error:
        message = f"no lsa model in {folder}: {error}. Delete the folder and build again"
        raise ArtifactError(message) from error
    if embeddings_WD.ndim != 2 or len(tokens) != len(embeddings_WD):
        message = f"{folder} holds {len(tokens)} words and embeddings of shape {embeddings_WD.shape}"
        raise ArtifactError(message)
    return LsaModel(tokens=tokens, embeddings=embeddings_WD)


def sum_embeddings(model: LsaModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """Sum the embeddings of the known words of each of `texts`, in the order of the vocabulary, not normalised."""
    counts = count_matrix(bag_tokens(texts, model.tokens), len(model.tokens))
    sums_ND: NDArray[np.float32] = counts @ model.embeddings
    return sums_ND
