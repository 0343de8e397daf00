"""What every teacher is given and gives, and how one is found by its name.

A teacher scores pairs of a query and a document that miners proposed, or that are labelled: a guide model, a
cross-encoder, a judge. It is a file of `negset/teaching/teachers` with `VERSION`, its author's word that what it
computes has not changed, `PER_PAIR`, and the functions of `TeacherModule`. It is imported when it is used, since its
libraries take time to load. It proposes nothing and decides nothing: rules read what it
gives as `score_<teacher>` and `positive_score_<teacher>`.
"""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np

from negset.arrays import Floats, Rows
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs
    from negset.vectors import Vectors

PACKAGE = "negset.teaching.teachers"
NO_SECRETS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows of the snapshot's queries and documents, each once."""

    query: Rows
    doc: Rows

    def __len__(self) -> int:
        return len(self.query)

    def __getitem__(self, rows: "slice | Rows") -> "Pairs":
        return Pairs(self.query[rows], self.doc[rows])


@dataclass(frozen=True)
class TeachingInputs:
    """All that a teacher may read. Rows are those of the snapshot's queries and documents.

    `query_texts` and `document_texts` give the texts of rows, in their order, repeats allowed. `miner_scores` gives
    the canonical score of each pair by a configured miner, NaN where it has none. `candidates` goes through what the
    miners proposed, a block of queries at a time; `labelled` are the labelled positives.
    """

    mining: "MiningInputs"
    config: TeachConfig
    query_texts: Callable[[Rows], list[str]]
    document_texts: Callable[[Rows], list[str]]
    miner_scores: Callable[[str, Pairs], Floats]
    candidates: Callable[[], Iterator[Pairs]]
    labelled: Pairs
    guide_queries: "Vectors | None" = None
    guide_documents: "Vectors | None" = None
    secrets: Mapping[str, str] = field(default_factory=lambda: NO_SECRETS, repr=False)
    """Credentials, by the name of their environment variable."""


@dataclass(frozen=True)
class OpenTeacher:
    """A teacher that is ready: `score` gives a score to each pair, NaN where it has none; larger is more relevant.

    `score` is given `block` pairs at the most, in an order that depends on their texts alone where the teacher scores
    pair by pair, and else by query and document. Where `most` is not 0, no pair is scored if there are more than
    that to score, those that are kept from earlier left aside; `most_option` is the name of that limit.
    """

    score: Callable[[Pairs], Floats]
    block: int = 1 << 16
    most: int = 0
    most_option: str = ""


class TeacherModule(Protocol):
    """What a teacher's file offers."""

    VERSION: int
    PER_PAIR: bool
    """Whether a score depends on the two texts and the identity alone: then no pair is scored twice, ever."""

    def check(self, config: TeachConfig, mine: MineConfig) -> None:
        """Raise ConfigError for options that cannot work, before anything is mined; cheap, and without a model."""

    def identity(self, inputs: "MiningInputs", config: TeachConfig) -> object:
        """Give all that the scores depend on beside texts, labels and candidates; cheap, and without a model."""

    def depth(self, config: TeachConfig) -> int:
        """Give how many first ranks of each miner are scored; 0 for all."""

    def open_teacher(self, inputs: TeachingInputs) -> OpenTeacher:
        """Read, fit or connect to what the teacher needs."""


@cache
def teachers() -> tuple[str, ...]:
    """List the names of all teachers."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__)))


def teacher_summary(name: str) -> str:
    """Give the first line of what the file of the teacher `name` says of it, without importing it."""
    source = (resources.files(PACKAGE) / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def find_teacher(name: str) -> TeacherModule:
    """Import the teacher `name`, one of `teachers()`."""
    return cast("TeacherModule", importlib.import_module(f"{PACKAGE}.{name}"))


def pack(pairs: Pairs, documents: int) -> Rows:
    """Give each pair as one number, `query * documents + doc`, whose order is that of query and document."""
    packed: Rows = pairs.query.astype(np.int64) * documents + pairs.doc
    return packed
