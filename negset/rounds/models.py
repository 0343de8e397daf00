"""The models of rounds as folders: opened to go on training, and frozen on the side of the documents."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from negset.arrays import Matrix
from negset.encoders.encoder import Role
from negset.encoders.model_folder import folder_digests
from negset.errors import ArtifactError
from negset.fingerprint import fingerprint
from negset.store import read_json
from negset.training.bag import open_bag
from negset.training.examples import Rows
from negset.training.model import Embed, Pace, StaticStart, Trainable, open_model
from schemas.train import TrainConfig

_STATIC: Final = "0_StaticEmbedding"


def open_folder(config: TrainConfig, folder: Path) -> Trainable:
    """Open the model in `folder` for training: a bag of embeddings that we saved as one, all else as `config` says.

    The bag's embeddings hold the weights of its words, which start from 1 again: its vectors are the same.
    """
    start = static_start(folder)
    if start is not None:
        return open_bag(config, start)
    return open_model(config.model_copy(update={"model": str(folder)}), None)


def static_start(folder: Path) -> StaticStart | None:
    """Give tokens and embeddings of the bag in `folder`; None where the model there is none that we saved.

    Raises ArtifactError where its files do not fit together.
    """
    static = folder / _STATIC
    if not static.is_dir() or not _cuts_words(static / "tokenizer.json"):
        return None
    try:
        tokenizer = Tokenizer.from_file(str(static / "tokenizer.json"))
        embeddings_VD = load_file(static / "model.safetensors")["embedding.weight"]
        pattern = json.loads(tokenizer.to_str())["pre_tokenizer"]["pattern"]["Regex"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"no static model in {folder}: {error}. Delete its round and run again"
        raise ArtifactError(message) from error
    words = sorted(tokenizer.get_vocab().items(), key=lambda word: word[1])
    if len(words) != len(embeddings_VD):
        message = f"{folder} holds {len(words)} words and embeddings of shape {embeddings_VD.shape}"
        raise ArtifactError(message)
    # Word 0 stands for all that is unknown: opening the bag puts it there again.
    return StaticStart([word for word, _ in words[1:]], embeddings_VD[1:].astype(np.float32), str(pattern))


def _cuts_words(path: Path) -> bool:
    """Tell whether the tokenizer at `path` is one of ours, that looks whole words up."""
    if not path.is_file():
        return False
    model = read_json(path).get("model")
    return isinstance(model, dict) and model.get("type") == "WordLevel"


def checkpoint_digest(folder: Path) -> str:
    """Name the model in `folder` by the bytes of its files."""
    return fingerprint("model", folder_digests(folder))


@dataclass(frozen=True)
class FrozenDocuments:
    """A model whose queries are trained while its documents keep the vectors `documents_ND` (ADORE).

    A document row is a row of these, and its text is not read: no gradient reaches what embedded it.
    """

    queries: Trainable
    documents_ND: Matrix

    @property
    def module(self) -> torch.nn.Module:
        """Give what holds the parameters of the query side."""
        return self.queries.module

    @property
    def device(self) -> torch.device:
        """Say where the parameters are."""
        return self.queries.device

    @property
    def learning_rate(self) -> float:
        """Give the peak rate of the query side."""
        return self.queries.learning_rate

    @property
    def pace(self) -> Pace:
        """Say how long to train, and with which care."""
        return self.queries.pace

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Give the function that embeds query texts with gradients, or looks document rows up without."""
        if role == "query":
            return self.queries.bind(texts, role)
        if len(texts) != len(self.documents_ND):
            message = f"{len(texts)} documents to look up among {len(self.documents_ND)} frozen vectors"
            raise ArtifactError(message)
        frozen = torch.from_numpy(np.ascontiguousarray(self.documents_ND))

        def embed(rows: Rows) -> torch.Tensor:
            return frozen[torch.from_numpy(rows)].to(self.queries.device)

        return embed

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of query `texts`; documents have theirs."""
        if role == "document":
            message = "the documents of this model are frozen: look their vectors up by row"
            raise ArtifactError(message)
        return self.queries.encode(texts, role)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Give what updates the parameters of the query side."""
        return self.queries.optimizers()

    def save(self, folder: Path) -> None:
        """Write the query side to `folder`."""
        self.queries.save(folder)
