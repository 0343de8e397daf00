"""What `negset losses` says of each loss: what it is in a line, what it needs, and its options."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import PydanticUndefined

from negset.training.objective import Loss, losses

_NEEDS = {
    "guide": "train.guide",
    "teacher": "train.teacher",
    "all_documents": 'train.candidates = "all"',
}
"""What a loss needs that somebody must configure, and how."""


@dataclass(frozen=True)
class LossOption:
    """An option of a loss, as it stands in `train.loss_options`."""

    name: str
    default: object
    description: str


@dataclass(frozen=True)
class LossCard:
    """A loss: its name, the first line of its file, what it gives, the keys it cannot do without, its options."""

    name: str
    summary: str
    gives: str
    needs: tuple[str, ...]
    options: tuple[LossOption, ...]


def list_losses() -> list[LossCard]:
    """Describe every loss, by name."""
    return [_card(found) for found in losses().values()]


def _card(found: Loss) -> LossCard:
    file = inspect.getdoc(inspect.getmodule(found.compute)) or ""
    gives = inspect.getdoc(found.compute) or ""
    needs = tuple(key for need, key in _NEEDS.items() if need in found.needs)
    return LossCard(found.name, file.split("\n", 1)[0], gives, needs, tuple(_options(found)))


def _options(found: Loss) -> Sequence[LossOption]:
    return [
        LossOption(
            name,
            None if field.default is PydanticUndefined else field.default,
            " ".join((field.description or "").split()),
        )
        for name, field in found.params.model_fields.items()
    ]
