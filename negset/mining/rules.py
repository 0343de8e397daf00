"""Rules that choose among candidates: their protocol, their registry, how a rejection is written down.

A rule is a function from a frame of candidates and its params to a frame of the same rows. Its kind fixes
its promise: a scorer adds its score column, a filter only fills `rejected_by`, a labeller rejects and fills
`relabelled`, a weigher only multiplies `weight`, a sampler only fills `position`.
A file of a rule folder holds one rule of the same name; nothing else lists it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from negset.errors import ConfigError, UnknownRuleError

Kind = Literal["scorer", "filter", "labeller", "weigher", "sampler"]
FOLDERS = tuple(f"negset.mining.{kind}s" for kind in get_args(Kind))
EPSILON = 1e-6
"""Slack of every comparison with a threshold: scores are rounded to 6 digits, equality keeps."""


class Params(BaseModel):
    """Options of a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreParams(Params):
    """Options of a rule that compares scores."""

    by: str = Field("", description="miner or scorer whose scores are compared; empty for the recipe's")


class RankersParams(Params):
    """Options of a rule that asks several miners and teachers."""

    miners: str = Field(
        "", description="miners and teachers asked, separated by commas; empty for all miners with scores"
    )

    @property
    def named(self) -> tuple[str, ...]:
        """The names in `miners`, each once, in their order."""
        return tuple(dict.fromkeys(name.strip() for name in self.miners.split(",") if name.strip()))


class SamplerParams(Params):
    """Options of a sampler."""

    k: int = Field(4, ge=1, description="negatives wanted for each query")


class ChanceParams(SamplerParams):
    """Options of a sampler that draws lots."""

    seed: int = Field(0, description="seed of the draw; a build gives its own")


ParamsT = TypeVar("ParamsT", bound=Params)
Apply = Callable[[pl.LazyFrame, ParamsT], pl.LazyFrame]


@dataclass(frozen=True)
class Rule:
    """A registered rule. `version` is its author's word that what it computes has not changed.

    What a rule that `suspects` rejects may be relevant: such pairs are published, for a trainer to mask.
    """

    name: str
    kind: Kind
    version: int
    needs: tuple[str, ...]
    params: type[Params]
    apply: Callable[[pl.LazyFrame, Any], pl.LazyFrame]
    suspects: bool = False

    def columns(self, params: Params) -> tuple[str, ...]:
        """Give the columns that the rule reads under `params`.

        `{by}` in `needs` follows the option `by`; a need with `{each}` is one for each of the option `miners`.
        """
        by = getattr(params, "by", "")
        suffix = f"_{by}" if by else ""
        named = params.named if isinstance(params, RankersParams) else ()
        each = [f"_{name}" for name in named] or [""]
        return tuple(dict.fromkeys(need.format(by=suffix, each=name) for need in self.needs for name in each))


_REGISTRY: dict[str, Rule] = {}
TRACES: Final = ("traced_hit", "traced_value", "traced_threshold")
"""Columns that a traced rule adds: what it found of every candidate, rejected or not."""
_TRACED: ContextVar[bool] = ContextVar("traced", default=False)


def rule(
    name: str,
    *,
    kind: Kind,
    params: type[ParamsT],
    needs: Sequence[str] = (),
    suspects: bool = False,
    version: int = 1,
) -> Callable[[Apply[ParamsT]], Apply[ParamsT]]:
    """Register the decorated function as the rule `name`, which reads the columns `needs`."""

    def register(apply: Apply[ParamsT]) -> Apply[ParamsT]:
        other = _REGISTRY.get(name)
        if other is not None and other.apply.__module__ != apply.__module__:
            message = f"two rules are named {name!r}: in {other.apply.__module__} and in {apply.__module__}"
            raise ConfigError(message)
        _REGISTRY[name] = Rule(name, kind, version, tuple(needs), params, apply, suspects)
        return apply

    return register


def rules() -> Mapping[str, Rule]:
    """Give every rule by name, after importing each file of the rule folders once."""
    _import_folders()
    return MappingProxyType(dict(sorted(_REGISTRY.items())))


@cache
def _import_folders() -> None:
    for folder in FOLDERS:
        package = importlib.import_module(folder)
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
            importlib.import_module(f"{folder}.{module.name}")


def find_rule(name: str) -> Rule:
    """Give the rule `name`; raise UnknownRuleError listing the known ones."""
    known = rules()
    if name not in known:
        raise UnknownRuleError.from_name(name, known)
    return known[name]


def scored(name: str, by: str) -> pl.Expr:
    """Give the column `name` (rank, score, positive_score) of the miner `by`; of the recipe's if empty."""
    return pl.col(f"{name}_{by}" if by else name)


def survives() -> pl.Expr:
    """Tell which candidates no rule has rejected."""
    return pl.col("rejected_by").is_null()


def place(among: pl.Expr, by: str = "") -> pl.Expr:
    """Number the rows `among` of each query by hardness, from 1: score descending, nulls last, then document.

    The order by the recipe's scores is in `hardness` already: ranking whole numbers is three times faster.
    """
    if not by:
        order = pl.when(among).then(pl.col("hardness")).rank("ordinal").over("query")
        return pl.when(among).then(order.cast(pl.Int32))
    numbered = pl.int_range(1, pl.len() + 1, dtype=pl.Int32)
    order = numbered.over("query", among, order_by=[-scored("score", by), pl.col("doc")], nulls_last=True)
    return pl.when(among).then(order)


def reject(
    candidates: pl.LazyFrame,
    condition: pl.Expr,
    reason: str,
    value: pl.Expr | None = None,
    threshold: pl.Expr | None = None,
) -> pl.LazyFrame:
    """Write `reason`, `value` and `threshold` where `condition` holds and nothing was rejected before.

    A null condition rejects: what cannot be shown to be safe is not.
    """
    none = pl.lit(None, dtype=pl.Float64)
    hit = survives() & condition.fill_null(value=True)
    verdict = {
        "rejected_by": pl.lit(reason),
        "rejected_value": none if value is None else value.cast(pl.Float64),
        "rejected_threshold": none if threshold is None else threshold.cast(pl.Float64),
    }
    if _TRACED.get():
        found = (hit, verdict["rejected_value"], verdict["rejected_threshold"])
        candidates = candidates.with_columns(**dict(zip(TRACES, found, strict=True)))
    return candidates.with_columns(
        **{name: pl.when(hit).then(found).otherwise(pl.col(name)) for name, found in verdict.items()}
    )


@contextmanager
def traced() -> Iterator[None]:
    """Let the rules that are applied in this block add the columns `TRACES`."""
    token = _TRACED.set(True)
    try:
        yield
    finally:
        _TRACED.reset(token)


def relabel(
    candidates: pl.LazyFrame,
    condition: pl.Expr,
    reason: str,
    value: pl.Expr | None = None,
    threshold: pl.Expr | None = None,
) -> pl.LazyFrame:
    """Reject by `reason` where `condition` holds and call the pair a positive of the set.

    A null condition does neither, as does a pair that people judged: no model overrules them. Nothing that was
    rejected before is relabelled.
    """
    hit = survives() & condition.fill_null(value=False) & ~pl.col("judged")
    marked = candidates.with_columns(relabelled=pl.col("relabelled") | hit)
    return reject(marked, hit, reason, value, threshold)


def weigh(candidates: pl.LazyFrame, factor: pl.Expr) -> pl.LazyFrame:
    """Multiply the weight of each candidate by `factor`, which is 1 where it is null."""
    return candidates.with_columns(weight=pl.col("weight") * factor.cast(pl.Float64).fill_null(1.0))
