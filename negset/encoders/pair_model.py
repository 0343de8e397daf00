"""Load and run cross-encoders of sentence-transformers. Imports torch: reached only through the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import CrossEncoder
from transformers.utils import logging as transformers_logging

from negset.arrays import Floats
from negset.encoders.sentence_model import DTYPES, choose_device
from negset.errors import InputError
from schemas.teach import CrossEncoderConfig


@dataclass(frozen=True)
class PairModel:
    """Score pairs of texts by a model that reads both at once."""

    model: CrossEncoder
    batch_size: int

    def log_odds(self, query_texts: Sequence[str], document_texts: Sequence[str]) -> Floats:
        """Give the model's bare output for each pair, in float64.

        The library batches pairs of similar length and restores their order; which pairs stand in one batch moves
        the last digits of float32 alone.
        """
        if not len(query_texts):
            return np.empty(0)
        given = self.model.predict(
            list(zip(query_texts, document_texts, strict=True)),
            batch_size=self.batch_size,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        return np.asarray(given, dtype=np.float64)


def load_pair_model(folder: Path, config: CrossEncoderConfig) -> PairModel:
    """Load the model in `folder`: only safetensors are read, no code of the model is run, nothing is fetched.

    Pairs are cut at `config.max_length` tokens or the model's own limit, whichever is less. Raises InputError where
    the files hold no cross-encoder, or one that gives several numbers for a pair.
    """
    device = choose_device(config.device, "teach.cross_encoder.device")
    model = _load_quietly(folder, device)
    if model.num_labels != 1:
        message = (
            f"the model in {folder} gives {model.num_labels} numbers for a pair; teach.cross_encoder.model must be a "
            "cross-encoder with one, a reranker"
        )
        raise InputError(message)
    longest = model.max_seq_length
    if longest is None or config.max_length < longest:
        model.max_seq_length = config.max_length
    return PairModel(model.to(DTYPES[config.dtype]).eval(), config.batch_size)


def _load_quietly(folder: Path, device: torch.device) -> CrossEncoder:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        return model
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        message = f"cannot load the cross-encoder in {folder}: {error}"
        raise InputError(message) from error
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
