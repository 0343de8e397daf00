"""What the training loop needs of a model, and which kinds there are."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from negset.encoders.encoder import Role
from negset.errors import ConfigError
from negset.training.examples import Rows
from schemas.train import TrainConfig

Embed = Callable[[Rows], torch.Tensor]
"""Turn row numbers of texts into their vectors of length one, with gradients, (n, d)."""


@dataclass(frozen=True)
class StaticStart:
    """Where a bag of embeddings starts: a vector for each token; a text is the sum of its tokens' vectors.

    A token is a longest run that the regular expression `pattern` matches in the lower-cased text.
    The default pattern spells out, for Oniguruma, which characters Rust and polars call word characters.
    """

    tokens: Sequence[str]
    embeddings_VD: NDArray[np.float32]
    pattern: str = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]{2,}"


@dataclass(frozen=True)
class Pace:
    """How a kind of model is trained where the config leaves it open.

    `warm_up` is the share of the steps in which the rate rises; a `gradient_limit` of 0 clips nothing.
    """

    epochs: int
    warm_up: float
    gradient_limit: float


class Trainable(Protocol):
    """An encoder that can be trained."""

    @property
    def module(self) -> torch.nn.Module:
        """Give what holds the parameters."""

    @property
    def device(self) -> torch.device:
        """Say where the parameters are."""

    @property
    def learning_rate(self) -> float:
        """Give the peak rate of most parameters."""

    @property
    def pace(self) -> Pace:
        """Say how long to train, and with which care."""

    def bind(self, texts: Sequence[str], role: Role) -> Embed:
        """Prepare `texts` once and give the function that embeds rows of them."""

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Give the vectors of `texts`, of length one, without gradients."""

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Give what updates the parameters, each with its peak learning rate."""

    def save(self, folder: Path) -> None:
        """Write the model to `folder`, as sentence-transformers reads it."""


def open_model(config: TrainConfig, start: StaticStart | None) -> Trainable:
    """Give the model that `config` names: `static` from its `start`, anything else by sentence-transformers.

    Raises ConfigError where a static model has no start.
    """
    if config.model != "static":
        module = importlib.import_module("negset.training.transformer")
        return cast("Trainable", module.open_transformer(config))
    if start is None:
        message = "train.model = 'static' needs tokens and embeddings to start from: fit the lsa encoder first"
        raise ConfigError(message)
    return cast("Trainable", importlib.import_module("negset.training.bag").open_bag(config, start))
