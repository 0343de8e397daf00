"""What a loss is given and gives, and how one is found by its name.

A loss is a function from the vectors of a batch to one number for each query, with gradients. A file of
`negset/training/losses` holds one loss of the same name; nothing else lists it. It knows no model, reads no file and
draws what it draws at random from the keys that it is given.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from negset.errors import ConfigError, hint
from negset.training.cells import Cells

PACKAGE: Final = "negset.training.losses"

Need = Literal["guide", "teacher", "episode", "memory", "all_documents"]
"""What a loss cannot do without: frozen vectors of a second encoder, a teacher's scores of the set, something that is
computed at the start of each epoch (`prepare`), parameters of its own (`open_parameters`), every document of the run
as a candidate (`train.candidates = "all"`)."""


class LossParams(BaseModel):
    """Options of a loss."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class Moment:
    """Where in a run a step is; all count from 0. `seed` is the run's."""

    seed: int
    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """The share of the steps that are done, from 0 to below 1."""
        return self.step / max(self.steps, 1)


def cosines(left_LD: torch.Tensor, right_RD: torch.Tensor) -> torch.Tensor:
    """Give the products of two lists of vectors of length one, (L, R): in float32, or float64 where they are.

    Autocast is off: a cosine in bfloat16 has three digits, which at a temperature of .01 are none.
    """
    with torch.autocast(left_LD.device.type, enabled=False):
        return widened(left_LD) @ widened(right_RD).T


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """Give `tensor` in float32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


@dataclass(frozen=True)
class LossInputs:
    """A batch of B queries and the C candidates that they share, as vectors of length one.

    `target_B` is the column of each query's positive. `cells` say which candidates count: not known positives beside
    the target, nor suspects, nor all that is not a query's own where in-batch negatives are off. As matrices, made when
    asked for: `masked_BC` is true where a candidate does not count for a query; a loss must give it no share and no
    gradient. `own_BC` is true at a query's own hard negatives, and only there. `weight_BC` is the weight that the set
    gives a negative, 1 where it gives none. `query_key_B` and `candidate_key_C` are hashes of the texts' ids, of 63
    bits: what is drawn at random must depend on them, the moment's seed and epoch alone. `candidate_row_C` numbers
    the documents of the run, from 0.

    None where the loss does not need them: `guide_BG` and `guide_CG`, frozen vectors of length one of a second
    encoder; `teacher_BC`, scores of the set's teacher (larger is more relevant), NaN where it gave none;
    `episode`, what the loss's `prepare` gave at the start of this epoch; `memory`, its own parameters.
    """

    queries_BD: torch.Tensor
    candidates_CD: torch.Tensor
    target_B: torch.Tensor
    cells: Cells
    query_row_B: torch.Tensor
    candidate_row_C: torch.Tensor
    query_key_B: torch.Tensor
    candidate_key_C: torch.Tensor
    temperature: float
    moment: Moment
    guide_BG: torch.Tensor | None = None
    guide_CG: torch.Tensor | None = None
    teacher_BC: torch.Tensor | None = None
    episode: object = None
    memory: torch.nn.Module | None = None

    @cached_property
    def masked_BC(self) -> torch.Tensor:  # noqa: N802
        """True where a candidate does not count."""
        return self.cells.masked_BC()

    @cached_property
    def negative_BC(self) -> torch.Tensor:  # noqa: N802
        """True at what counts for a query and is not its positive."""
        return (~self.masked_BC).scatter(1, self.target_B[:, None], False)

    @cached_property
    def own_BC(self) -> torch.Tensor:  # noqa: N802
        """True at a query's own hard negatives."""
        return self.cells.own_BC()

    @cached_property
    def weight_BC(self) -> torch.Tensor:  # noqa: N802
        """The weights of the set, 1 where it gives none."""
        return self.cells.weight_BC()

    def scores_BC(self) -> torch.Tensor:  # noqa: N802
        """Give the cosine of each query and candidate, (B, C), with gradients; in float32 at least."""
        return cosines(self.queries_BD, self.candidates_CD)


def guide_vectors(inputs: LossInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the guide's vectors of queries and candidates, (B, G) and (C, G); raise ConfigError where there is none."""
    if inputs.guide_BG is None or inputs.guide_CG is None:
        message = "this loss compares by a guide, and the run has none. Set train.guide"
        raise ConfigError(message)
    return inputs.guide_BG, inputs.guide_CG


def teacher_scores(inputs: LossInputs) -> torch.Tensor:
    """Give the teacher's scores, (B, C), NaN where it gave none; raise ConfigError where there is no teacher."""
    if inputs.teacher_BC is None:
        message = "this loss learns a teacher's scores, and the run has none. Set train.teacher"
        raise ConfigError(message)
    return inputs.teacher_BC


@dataclass(frozen=True)
class EpochInputs:
    """What `prepare` may read at the start of an epoch: vectors of all texts of the run by the model as it is then.

    Rows of `query_vectors` (Q, D) and `document_vectors` (N, D) are those of the run, of length one, on the CPU.
    `positive_row_Q` is one positive document of each query. `guide_queries` and `guide_documents` are None where no
    guide is configured.
    """

    query_vectors: Callable[[], torch.Tensor]
    document_vectors: Callable[[], torch.Tensor]
    positive_row_Q: torch.Tensor
    query_key_Q: torch.Tensor
    moment: Moment
    guide_queries: torch.Tensor | None = None
    guide_documents: torch.Tensor | None = None
    pair_losses: Callable[[], pl.DataFrame] | None = None


@dataclass(frozen=True)
class MemoryInputs:
    """What a loss's own parameters are made from: `documents` of the run, `width` of the vectors, the run's seed."""

    documents: int
    width: int
    seed: int
    document_vectors: Callable[[], torch.Tensor]


ParamsT = TypeVar("ParamsT", bound=LossParams)
Compute = Callable[[LossInputs, ParamsT], torch.Tensor]


@dataclass(frozen=True)
class Loss:
    """A registered loss. `version` is its author's word that what it computes has not changed.

    `prepare` runs at the start of each epoch and gives tensors by name, which a resumed run reads back;
    `open_parameters` gives a module that is trained along and saved with the checkpoint, not with the model, or None
    where the options ask for none. `files` are options that name a file, whose content is part of the run's identity.
    """

    name: str
    version: int
    needs: frozenset[Need]
    params: type[LossParams]
    compute: Callable[[LossInputs, Any], torch.Tensor]
    prepare: Callable[[EpochInputs, Any], Mapping[str, torch.Tensor]] | None = None
    open_parameters: Callable[[MemoryInputs, Any], torch.nn.Module | None] | None = None
    files: tuple[str, ...] = ()


_REGISTRY: dict[str, Loss] = {}


def loss(
    name: str,
    *,
    params: type[ParamsT],
    needs: Sequence[Need] = (),
    prepare: Callable[[EpochInputs, ParamsT], Mapping[str, torch.Tensor]] | None = None,
    open_parameters: Callable[[MemoryInputs, ParamsT], torch.nn.Module | None] | None = None,
    files: Sequence[str] = (),
    version: int = 1,
) -> Callable[[Compute[ParamsT]], Compute[ParamsT]]:
    """Register the decorated function as the loss `name`."""

    def register(compute: Compute[ParamsT]) -> Compute[ParamsT]:
        needed = frozenset(needs)
        _REGISTRY[name] = Loss(name, version, needed, params, compute, prepare, open_parameters, tuple(files))
        return compute

    return register


def losses() -> Mapping[str, Loss]:
    """Give every loss by name, after importing each file of the folder once."""
    _import_folder()
    return MappingProxyType(dict(sorted(_REGISTRY.items())))


@cache
def _import_folder() -> None:
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        importlib.import_module(f"{PACKAGE}.{module.name}")


def find_loss(name: str) -> Loss:
    """Give the loss `name`; raise ConfigError listing the known ones."""
    known = losses()
    if name not in known:
        message = f"there is no loss {name!r}{hint(name, list(known))}; known: {', '.join(known)}. Set train.loss"
        raise ConfigError(message)
    return known[name]


def loss_params(found: Loss, options: Mapping[str, object]) -> LossParams:
    """Check `options` against those of the loss; raise ConfigError with a line for each wrong one."""
    try:
        return found.params.model_validate(options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        known = ", ".join(sorted(found.params.model_fields)) or "it has none"
        message = f"train.loss_options of {found.name}: {wrong}. Its options: {known}"
        raise ConfigError(message) from error
