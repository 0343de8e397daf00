"""What plans read: queries and documents by number, and what is opened only where a plan asks for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix, Rows
from negset.errors import ConfigError
from negset.lots import id_keys
from negset.training.examples import Groups


@dataclass(frozen=True)
class ScoredPairs:
    """Positive and negative of a query, and the teacher's score of the first minus that of the second.

    Rows ascend by query, then positive, then negative; each triple stands once.
    """

    query_P: Rows
    positive_P: Rows
    negative_P: Rows
    margin_P: Floats


@dataclass(frozen=True)
class GradedPairs:
    """Positives of queries, sorted by query and document, and the relevance that each was judged."""

    query_P: Rows
    document_P: Rows
    grade_P: Rows


@dataclass(frozen=True)
class OlderVersion:
    """A version of the set: its id, its age (1 the newest), and its negatives by query row. None: it was deleted."""

    version: str
    age: int
    negatives: Groups | None


def _absent(what: str) -> Callable[..., NoReturn]:
    def refuse(*_asked: object) -> NoReturn:
        raise ConfigError(what)

    return refuse


@dataclass(frozen=True)
class PlanInputs:
    """The queries that are planned, sorted by id, and the documents that they use, sorted by id.

    `keys_Q` are hashes of the query ids (`negset.lots.id_keys`). `positives` are a query's own labels, `known` all
    documents that must not be a negative of it, `negatives` its hard negatives by rank. What follows is called only
    by plans that need it, and raises ConfigError saying what is missing: `vectors`, of length one, (Q, D);
    `document_vectors` of some rows, of length one too; `pairs` by
    the name of a scorer, empty for the set's own; `column`, the values of a metadata field, None where there is none;
    `places`, latitude and longitude in degrees, (Q, 2), NaN where there is none; `losses` of each query by path of a
    table, empty for what the set's own scores say; `grades` of the
    positives; `versions` of the set, the newest first.
    """

    query_ids: Sequence[str]
    keys_Q: NDArray[np.uint64]
    document_ids: Sequence[str]
    positives: Groups
    known: Groups
    negatives: Groups
    vectors: Callable[[], Matrix] = field(default=_absent("this plan needs vectors of the queries"))
    document_vectors: Callable[[Rows], Matrix] = field(default=_absent("this plan needs vectors of the documents"))
    pairs: Callable[[str], ScoredPairs] = field(default=_absent("this plan needs scores of positives and negatives"))
    column: Callable[[str], pl.Series] = field(default=_absent("this plan needs the queries' metadata"))
    places: Callable[[str, str], Floats] = field(default=_absent("this plan needs coordinates"))
    losses: Callable[[str], Floats] = field(default=_absent("this plan needs a loss of each query"))
    grades: Callable[[], GradedPairs] = field(default=_absent("this plan needs graded judgements"))
    versions: Callable[[], Sequence[OlderVersion]] = field(
        default=_absent("this plan needs the versions of a published set")
    )

    @cached_property
    def document_keys_D(self) -> NDArray[np.uint64]:  # noqa: N802
        """Give the hash of each document id."""
        return id_keys(self.document_ids)
