"""What every miner is given and gives, and how one is found by its name.

A miner is a file of `negset/mining/miners` with `VERSION`, its author's word that what it computes has not
changed, `identity(inputs)`, all but the texts that its hits depend on, and `open_miner(inputs)`. It is imported
when it is used, since its libraries take time to load. What it computes for a pair of texts is the same
whatever stands beside them; that is what lets cells be mined apart and merged.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

import polars as pl

from negset.arrays import Floats, Rows
from negset.search import Hits
from schemas.config import MineConfig

if TYPE_CHECKING:
    from negset.indexes.opened import Indexes
    from negset.mining.statistics import Statistics
    from negset.snapshot import Snapshot
    from negset.vectors import Vectors

FILES: Final = {
    **{name: name for name in ("dense", "bm25", "run", "geo", "relation")},
    "random": "random_documents",
}
"""Name in a configuration to file: `random` is the name of a module of Python's own."""


@dataclass(frozen=True)
class MiningInputs:
    """All that the miners of one build read. What a configured miner does not need may be left out."""

    snapshot: "Snapshot"
    config: MineConfig
    seed: int
    encoder_content: str = ""
    query_vectors: "Vectors | None" = None
    document_vectors: "Vectors | None" = None
    statistics: "Statistics | None" = None
    indexes: "Indexes | None" = None
    dataset: str = ""
    """Name of the set that is built: what was mined for it before is built upon."""
    memory: int = 1 << 30
    """Bytes that a miner may keep of one partition, beside what a block of queries needs."""
    block: int = 0
    """Queries in a block; 0 for as many as the configuration says."""


@dataclass(frozen=True)
class Queries:
    """Consecutive queries; `rows` are their rows among all queries, `depths` how many documents each wants.

    `until` is the last microsecond at which a document may have been created to be a candidate of each query. Where
    `least` is given, a miner may leave out documents with a lower score.
    """

    rows: Rows
    query_id: pl.Series
    text: pl.Series
    depths: Rows
    until: Rows
    least: Floats | None = None


@dataclass(frozen=True)
class Documents:
    """Documents of one partition, sorted by id; `rows` are their rows among all documents.

    `created` is the microsecond of each one's creation, as `negset.mining.times` counts it. A miner gives a query
    no document whose `created` is greater than the query's `until`.
    """

    doc_id: pl.Series
    text: pl.Series
    rows: Rows
    created: Rows


Search = Callable[[Queries], Hits]
"""Give the hits of a block among the documents of one partition; rows count within block and partition."""

ScorePairs = Callable[[Queries, Documents, Rows, Rows], Floats]
"""Give the canonical score of each pair of rows of queries and documents; NaN where the miner has none."""


@dataclass(frozen=True)
class OpenMiner:
    """A miner that is ready to search.

    `score_pairs` is None where a pair by itself has no score. Hits that are not `exact` cannot be built upon when
    documents change.
    """

    open_partition: Callable[[Documents], Search]
    score_pairs: ScorePairs | None
    exact: bool = True


class MinerModule(Protocol):
    """What a miner's file offers."""

    VERSION: int

    def identity(self, inputs: MiningInputs) -> object:
        """Give all that the hits depend on beside the texts, the ids and the depths."""

    def open_miner(self, inputs: MiningInputs) -> OpenMiner:
        """Read what the miner needs once."""


def is_exact(config: MineConfig, miner: str) -> bool:
    """Tell whether the lists of `miner` can be patched when documents change: not those of an index, nor of places."""
    return miner != "geo" and (miner != "dense" or config.dense.index == "exact")


def find_miner(name: str) -> MinerModule:
    """Import the miner `name` of a configuration."""
    return cast("MinerModule", importlib.import_module(f"negset.mining.miners.{FILES[name]}"))
