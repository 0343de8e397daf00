"""Any sentence-transformers model, trained. Imports torch and the library: reached only through `open_model`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, Final, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from negset.encoders.encoder import Role
from negset.encoders.model_folder import check_model, find_model
from negset.encoders.sentence_model import choose_device, load_model
from negset.encoders.tokens import normalise_rows
from negset.errors import ConfigError
from negset.store import storage_fault
from negset.training.examples import Rows
from negset.training.model import Embed, Pace
from negset.training.sophia import Sophia
from schemas.train import TrainConfig

PACE: Final = Pace(epochs=1, warm_up=0.1, gradient_limit=1.0)
RATE: Final = 2e-5
WEIGHT_DECAY: Final = 0.01
_ENCODED: Final = 64
_ALIKE: Final = 8
"""Texts that are embedded at once on a processor: those of a batch that are nearest in length."""


@dataclass(frozen=True)
class Options:
    """How a transformer is computed and moved, beyond what its folder says."""

    bfloat16: bool
    optimizer: Literal["adamw", "sophia"]


class Transformer:
    """A sentence-transformers model that can be trained."""

    pace = PACE

    def __init__(
        self,
        model: SentenceTransformer,
        device: torch.device,
        learning_rate: float,
        prompts: dict[Role, str],
        options: Options,
    ) -> None:
        self.module = model
        self.device = device
        self.learning_rate = learning_rate
        self.prompts = prompts
        self.options = options

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Give the function that embeds rows of `texts`; words are cut batch by batch, as the model is what costs."""
        kept, prompt = list(texts), self.prompts[role] or None

        def embed(rows: Rows) -> torch.Tensor:
            self.module.train()
            chosen = [kept[row] for row in rows.tolist()]
            if self.device.type != "cpu" or len(chosen) <= _ALIKE:
                return embed_at_once(chosen)
            # Texts of like lengths share their padding, which a processor, other than a GPU, would compute one by one.
            order = np.argsort([len(text) for text in chosen], kind="stable")
            parts = np.array_split(order, -(-len(order) // _ALIKE))
            vectors = torch.cat([embed_at_once([chosen[place] for place in part]) for part in parts])
            return vectors[torch.from_numpy(np.argsort(order))]

        def embed_at_once(chosen: list[str]) -> torch.Tensor:
            features = self.module.preprocess(chosen, prompt=prompt, task=role)
            moved = {
                name: value.to(self.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.options.bfloat16):
                vectors = self.module(moved, task=role)["sentence_embedding"]
            return normalize(vectors.float())

        return embed

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of `texts` in the precision that the model is saved in."""
        encode = self.module.encode_query if role == "query" else self.module.encode_document
        vectors = encode(
            list(texts),
            prompt=self.prompts[role] or None,
            batch_size=_ENCODED,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return normalise_rows(vectors.float().cpu().numpy())

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Give AdamW or what the run asks for; vectors of biases and norms do not decay."""
        parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        kept = [group for group in groups if group["params"]]
        if self.options.optimizer == "sophia":
            return [Sophia(kept, lr=self.learning_rate)]
        return [torch.optim.AdamW(kept, lr=self.learning_rate, fused=True)]

    def save(self, folder: Path) -> None:
        """Write the model to `folder` as the library does, safetensors only; prompts travel with it."""
        try:
            self.module.save(str(folder), create_model_card=False, safe_serialization=True)
        except OSError as error:
            raise storage_fault(error, folder) from error


def open_transformer(config: TrainConfig) -> Transformer:
    """Load the model that `config` names: a folder, or a name whose local copy or download is used.

    An empty prompt leaves the model's own.
    Raises ConfigError or InputError where there is no such model or it cannot be loaded.
    """
    folder = find_model(config.model, "")
    check_model(folder)
    device = choose_device(config.device, "train.device")
    model = load_model(folder, device, config.max_length).float()
    own = model.prompts
    prompts: dict[Role, str] = {
        "query": config.query_prompt or own.get("query") or "",
        "document": config.document_prompt or own.get("document") or "",
    }
    model.prompts = {**own, "query": prompts["query"], "document": prompts["document"]}
    if config.gradient_checkpointing:
        _checkpoint_layers(model, folder)
    if config.compile:
        _compile(model, device)
    bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")
    return Transformer(model, device, config.learning_rate or RATE, prompts, Options(bfloat16, config.optimizer))


def _checkpoint_layers(model: SentenceTransformer, folder: Path) -> None:
    """Let `model` compute its activations again on the way back instead of keeping them.

    Raises ConfigError where its kind of model cannot.
    """
    inner = cast("Any", getattr(model[0], "auto_model", None))
    if not getattr(inner, "supports_gradient_checkpointing", False):
        message = f"the model in {folder} cannot do train.gradient_checkpointing; train.mini_batch saves memory too"
        raise ConfigError(message)
    # Renamed in newer versions of transformers, where the old name warns.
    enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _compile(model: SentenceTransformer, device: torch.device) -> None:
    """Compile the layers of `model` in place, so that names of parameters and what is saved stay the same.

    Raises ConfigError where there is no compiler.
    """
    if device.type == "cpu" and not any(which(name) for name in ("c++", "g++", "clang++")):
        message = "train.compile = true needs a C++ compiler on the CPU, such as g++. Install one or leave it out"
        raise ConfigError(message)
    # Lengths differ from batch to batch: one program for all of them rather than one for each.
    cast("torch.nn.Module", model[0].auto_model).compile(dynamic=True)
