"""What a batch plan is given and gives, and how one is found by its name.

A plan is a function that prepares once (clusters, neighbours) and gives a function from an epoch to its visits. A file
of `negset/batching/plans` holds one plan, its name with underscores; nothing else lists it. It reads no file,
knows no model, and draws what it draws at random from hashes of ids, so that the order of rows does not matter.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from negset.arrays import Floats, Rows
from negset.batching.inputs import PlanInputs
from negset.errors import ConfigError, hint
from negset.lots import id_keys, mix
from negset.training.examples import Groups

PACKAGE: Final = "negset.batching.plans"
GroupKind = Literal["none", "cluster", "geo", "knn", "prototype", "task", "level", "version"]
Coverage = Literal["every", "some"]
"""Whether a plan promises to visit every query once an epoch, or some of them (each at most once)."""


class PlanParams(BaseModel):
    """Options of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class PlanSettings:
    """What every plan is told of the run: all draws are by `seed`, batches have at most `batch_size` queries."""

    seed: int
    batch_size: int
    epochs: int
    in_batch: bool = True
    passes: int = 0
    """What was asked for, where a plan turns passes over all queries into another number of epochs."""
    only: range | None = None
    """The epochs that will be visited, where that is not all of them."""

    @property
    def visited(self) -> range:
        """Give the epochs that will be visited."""
        return range(self.epochs) if self.only is None else self.only


@dataclass(frozen=True)
class Suspects:
    """Pairs of a visit and a document that its batch must not hold against it, and how alike they are."""

    visit_M: Rows
    document_M: Rows
    value_M: Floats


@dataclass(frozen=True)
class Visits:
    """The visits of an epoch, in the order of batches and of slots; all arrays are by visit, batches by `in_batch_B`.

    `query_V` are query rows, `batch_V` ascends from 0 without gaps. `group_V` numbers the groups, `group_names` names
    them. `positive_V` are document rows; None lets a query's positives take turns. `negatives` are the document
    rows of each visit that count as its hard negatives; None leaves all that the set has. `rank_V` is how near a
    visit is to the seed of its group (0 the seed itself), `distance_V` how far; `probability_V` with which chance it,
    or its pair, was drawn. `version_V` indexes `version_names`, -1 for the set's own version. `in_batch_B` says of each
    batch whether what others bring counts as negatives; `stage` is a word for the phase of a curriculum, in which
    batches may be `stretch` times as large as asked for. `notes` is what the plan counted, by a name with underscores.
    """

    query_V: Rows
    batch_V: Rows
    in_batch_B: NDArray[np.bool_]
    kind: GroupKind = "none"
    group_V: Rows | None = None
    group_names: Sequence[str] | None = None
    positive_V: Rows | None = None
    negatives: Groups | None = None
    rank_V: Rows | None = None
    distance_V: Floats | None = None
    probability_V: Floats | None = None
    version_V: Rows | None = None
    version_names: Sequence[str] = ()
    suspects: Suspects | None = None
    stage: str = ""
    stretch: int = 1
    notes: Mapping[str, int] = field(default_factory=dict)


PlanEpoch = Callable[[int], Visits]
"""Gives the visits of an epoch, counted from 0, always the same ones."""

ParamsT = TypeVar("ParamsT", bound=PlanParams)
Open = Callable[[PlanInputs, PlanSettings, ParamsT], PlanEpoch]


@dataclass(frozen=True)
class BatchPlan:
    """A registered plan. `version` is its author's word that what it computes has not changed.

    `coverage` tells under options what is promised; `repeats` whether a query may come twice in an epoch (never in a
    batch). `epochs` is how many it makes of the passes over all queries that were asked for. `files` are options
    that name a file, whose content is part of the plan's identity; plans with `versions` read older ones of the set.
    `from_vectors` tells under options whether an epoch is made from vectors. `unsteady` says for the positives of all
    queries and options why the number of batches depends on vectors too; an empty text where it does not.
    """

    name: str
    version: int
    params: type[PlanParams]
    open: Callable[[PlanInputs, PlanSettings, Any], PlanEpoch]
    summary: str
    coverage: Callable[[Any], Coverage]
    repeats: Callable[[Any], bool]
    epochs: Callable[[int, Any], int]
    files: tuple[str, ...]
    versions: bool
    from_vectors: Callable[[Any, int], bool]
    unsteady: Callable[[Groups, Any], str]


_REGISTRY: dict[str, BatchPlan] = {}


def every(_params: PlanParams) -> Coverage:
    """Promise that each query is visited exactly once an epoch."""
    return "every"


def some(_params: PlanParams) -> Coverage:
    """Promise that each query is visited at most once an epoch."""
    return "some"


def never(_params: PlanParams) -> bool:
    """Promise that no query comes twice in an epoch."""
    return False


def as_asked(passes: int, _params: PlanParams) -> int:
    """Make an epoch of each pass."""
    return passes


def no_epoch(_params: PlanParams, _epoch: int) -> bool:
    """Make no epoch from vectors."""
    return False


def each_epoch(_params: PlanParams, _epoch: int) -> bool:
    """Make every epoch from vectors."""
    return True


def steady(_positives: Groups, _params: PlanParams) -> str:
    """Promise as many batches whatever the vectors say."""
    return ""


def plan(
    name: str,
    *,
    params: type[ParamsT],
    coverage: Callable[[ParamsT], Coverage] = every,
    repeats: Callable[[ParamsT], bool] = never,
    epochs: Callable[[int, ParamsT], int] = as_asked,
    files: Sequence[str] = (),
    versions: bool = False,
    from_vectors: Callable[[ParamsT, int], bool] = no_epoch,
    unsteady: Callable[[Groups, ParamsT], str] = steady,
    version: int = 1,
) -> Callable[[Open[ParamsT]], Open[ParamsT]]:
    """Register the decorated function as the plan `name`."""

    def register(opens: Open[ParamsT]) -> Open[ParamsT]:
        summary = (opens.__doc__ or "").strip().partition("\n")[0]
        _REGISTRY[name] = BatchPlan(
            name=name,
            version=version,
            params=params,
            open=opens,
            summary=summary,
            coverage=coverage,
            repeats=repeats,
            epochs=epochs,
            files=tuple(files),
            versions=versions,
            from_vectors=from_vectors,
            unsteady=unsteady,
        )
        return opens

    return register


def plans() -> Mapping[str, BatchPlan]:
    """Give every plan by name, after importing each file of the folder once."""
    _import_folder()
    return MappingProxyType(dict(sorted(_REGISTRY.items())))


@cache
def _import_folder() -> None:
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        importlib.import_module(f"{PACKAGE}.{module.name}")


def find_plan(name: str) -> BatchPlan:
    """Give the plan `name`; raise ConfigError listing the known ones."""
    known = plans()
    if name not in known:
        message = f"there is no batch plan {name!r}{hint(name, list(known))}; known: {', '.join(known)}"
        raise ConfigError(message)
    return known[name]


def plan_params(found: BatchPlan, options: Mapping[str, object]) -> PlanParams:
    """Check `options` against those of the plan; raise ConfigError with a line for each wrong one."""
    try:
        return found.params.model_validate(options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        known = ", ".join(sorted(found.params.model_fields)) or "it has none"
        message = f"options of the plan {found.name}: {wrong}. Its options: {known}"
        raise ConfigError(message) from error


def lots(keys_N: NDArray[np.uint64], seed: int, *what: object) -> NDArray[np.uint64]:
    """Draw 64 bits for each of `keys_N`, by `seed` and `what` they are for."""
    return mix(mix(keys_N ^ id_keys([":".join(map(str, (seed, "batches", *what)))])))


def uniform(keys_N: NDArray[np.uint64], seed: int, *what: object) -> Floats:
    """Draw a number in (0, 1) for each of `keys_N`, by `seed` and `what` they are for."""
    return ((lots(keys_N, seed, *what) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def shuffled(keys_N: NDArray[np.uint64], seed: int, *what: object) -> Rows:
    """Give the rows 0 to N - 1 in an order drawn by `seed`, `what` it is for, and the keys."""
    return np.lexsort((keys_N, lots(keys_N, seed, *what)))
