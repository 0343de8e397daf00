"""What a kind of index is, and how one is found by its name.

A kind is a file of `negset/indexes` that bears its name. Its index only proposes documents: `search.py` scores
what it proposes by the true vectors. What a kind proposes to a query may not depend on the queries beside it nor
on the number of threads, since published rows may not.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final, Protocol, cast

import faiss
from pydantic import BaseModel, ConfigDict

from negset.arrays import Matrix, Rows
from negset.errors import ConfigError
from schemas.config import DenseConfig, IndexKind

EXACT: Final = "exact"
AUTO: Final = "auto"

_DEPTHS: Final = 4
"""Depths that a partition must be larger than: an index that proposes most of the documents saves nothing."""

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {"ivf-flat": "ivf_flat", "hnsw": "hnsw", "ivf-pq": "ivf_pq", "sq-fp16": "sq_fp16", "sq-int8": "sq_int8"}
)
"""Name in a configuration to file."""


class Setting(BaseModel):
    """How hard an index searches; 0 where the kind has no such knob."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nprobe: int = 0
    """Lists that are searched for a query."""
    ef_search: int = 0
    """Documents that a walk through the graph keeps in view."""
    refine_factor: int = 0
    """Documents scored by their true vectors, in multiples of those wanted."""

    def __str__(self) -> str:
        """Write the knobs that are set."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump().items() if value)


Propose = Callable[[Matrix, int, Setting], Rows]
"""Give rows of at least the `count` documents that seem best to each query, (Q, count or more); -1 for none."""


class Kind(Protocol):
    """What a kind's file offers."""

    VERSION: int
    FEWEST: int
    """Documents below which a partition is searched exactly: too few to train on, or nothing to gain."""
    KNOBS: tuple[str, ...]
    """Knobs of a `Setting` that this kind has."""

    def build_index(self, documents_ND: Matrix, seed: int) -> faiss.Index:
        """Train on a seeded sample of `documents_ND` and add them all, the same bytes on any number of threads."""

    def settings(self, documents: int, fixed: Setting) -> Sequence[Setting]:
        """List settings for an index of so many `documents`, the cheapest first; `fixed` gives knobs set by hand."""

    def open_index(self, index: faiss.Index, documents_ND: Matrix) -> Propose:
        """Make the `index` of `documents_ND` ready to search."""


def find_kind(name: str) -> Kind:
    """Import the kind `name` of a configuration."""
    return cast("Kind", import_module(f"negset.indexes.{FILES[name]}"))


def fewest_documents(name: str, depth: int) -> int:
    """Give the number of documents below which the kind `name` is not built for candidates to `depth`."""
    return max(find_kind(name).FEWEST, _DEPTHS * depth)


def fixed_setting(config: DenseConfig) -> Setting:
    """Give the knobs that `config` sets by hand."""
    return Setting(nprobe=config.nprobe, ef_search=config.ef_search, refine_factor=config.refine_factor)


def check_options(config: DenseConfig) -> None:
    """Raise ConfigError where `config` sets a knob that its kind of index does not have."""
    knobs = find_kind(config.index).KNOBS if config.index in FILES else ()
    wrong = [name for name, value in fixed_setting(config) if value and name not in knobs]
    if wrong:
        has = f"has {', '.join(knobs)}" if knobs else "has no knob"
        message = f"mine.dense sets {', '.join(wrong)}, but its index {config.index!r} {has}: remove it"
        raise ConfigError(message)


def kind_version(name: IndexKind) -> int:
    """Give the version of the kind `name`; `exact` and `auto` have none of their own."""
    return find_kind(name).VERSION if name in FILES else 0
