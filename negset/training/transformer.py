"""Any sentence-transformers model, trained. Imports torch and the library: reached only through `open_model`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from negset.encoders.encoder import Role
from negset.encoders.model_folder import check_model, find_model
from negset.encoders.sentence_model import choose_device, load_model
from negset.encoders.tokens import normalise_rows
from negset.store import storage_fault
from negset.training.examples import Rows
from negset.training.model import Embed, Pace
from schemas.config import TrainConfig

PACE: Final = Pace(epochs=1, warm_up=0.1, gradient_limit=1.0)
RATE: Final = 2e-5
WEIGHT_DECAY: Final = 0.01
_ENCODED: Final = 64


class Transformer:
    """A sentence-transformers model that can be trained."""

    pace = PACE

    def __init__(
        self, model: SentenceTransformer, device: torch.device, learning_rate: float, prompts: dict[Role, str]
    ) -> None:
        self.module = model
        self.device = device
        self.learning_rate = learning_rate
        self.prompts = prompts

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Give the function that embeds rows of `texts`; words are cut batch by batch, as the model is what costs."""
        kept, prompt = list(texts), self.prompts[role] or None

        def embed(rows: Rows) -> torch.Tensor:
            self.module.train()
            features = self.module.preprocess([kept[row] for row in rows.tolist()], prompt=prompt, task=role)
            moved = {
                name: value.to(self.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
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
        """Give AdamW; vectors of biases and norms do not decay."""
        parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return [torch.optim.AdamW([group for group in groups if group["params"]], lr=self.learning_rate)]

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
    return Transformer(model, device, config.learning_rate or RATE, prompts)
