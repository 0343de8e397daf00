"""Load and run sentence-transformers models. Imports torch: reached only through `model_folder`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from negset.encoders.encoder import Encoder, Role
from negset.encoders.hashing import hash_zero_rows
from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError, InputError
from schemas.encoder import EncoderConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class SentenceEncoder:
    """Encode by a sentence-transformers model.

    An empty prompt leaves the choice to the model, which may bring its own for each role.
    The library sorts the texts by length for batching and restores their order.
    """

    fingerprint: str
    dimensions: int
    model: SentenceTransformer
    prompts: dict[Role, str]
    batch_size: int

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode `texts` as `role`; `ids` change nothing.

        A static model has no word for some texts, and zero for their vectors: they get the hashed ones.
        """
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        vectors_ND = encode(
            list(texts),
            prompt=self.prompts[role] or None,
            batch_size=self.batch_size,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return hash_zero_rows(normalise_rows(vectors_ND.to(device="cpu", dtype=torch.float32).numpy()), texts)


def load_sentence_encoder(folder: Path, config: EncoderConfig, fingerprint: str) -> Encoder:
    """Load the model in `folder` with the length, dtype and device of `config`; nothing is fetched."""
    device = choose_device(config.device, "encoder.device")
    model = load_model(folder, device, config.max_length).to(DTYPES[config.dtype]).eval()
    dimensions = model.get_embedding_dimension()
    if dimensions is None:
        message = f"the model in {folder} does not say how wide its vectors are"
        raise InputError(message)
    return SentenceEncoder(
        fingerprint=fingerprint,
        dimensions=int(dimensions),
        model=model,
        prompts={"query": config.query_prompt, "document": config.document_prompt},
        batch_size=config.batch_size,
    )


def load_model(folder: Path, device: torch.device, max_length: int) -> SentenceTransformer:
    """Load the model in `folder`: only safetensors are read, no code of the model is run, nothing is fetched.

    Texts are cut at `max_length` tokens or the model's own limit, whichever is less; a static embedding model
    has none and is never cut. Raises InputError where the files hold no such model.
    """
    model = _load_quietly(folder, device)
    longest = model.max_seq_length
    if longest is None or max_length < longest < float("inf"):
        model.max_seq_length = max_length
    return model


def _load_quietly(folder: Path, device: torch.device) -> SentenceTransformer:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(
            str(folder),
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        message = f"cannot load the model in {folder}: {error}"
        raise InputError(message) from error
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def choose_device(name: str, option: str) -> torch.device:
    """Resolve `auto` to cuda where there is one, else cpu; raise ConfigError for a device that is not there.

    The message says that `option` named it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        message = f"{option} = {name!r} cannot be used here: {str(error).splitlines()[0]}. Use 'auto' or 'cpu'"
        raise ConfigError(message) from error
    return device
