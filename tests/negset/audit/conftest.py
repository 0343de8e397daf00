"""A small corpus with several positives a query, mined once, and the evidence of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from negset.audit.evidence import Evidence, open_evidence
from negset.mining.cells import mine_cells
from negset.mining.miner import MiningInputs
from negset.mining.recipe import BoundRecipe, bind_recipe, load_recipe
from negset.mining.statistics import open_statistics, prepare_statistics
from negset.store import Store
from schemas.config import MineConfig, RandomConfig, RecipeConfig
from schemas.refs import CellsRef

MINERS = ("dense", "bm25", "random")
DOCUMENTS = {f"d{n:02d}": f"word{n % 7} word{n % 5} word{n % 3} common" for n in range(40)} | {
    "e01": "word1 word2 special",
    "e02": "word1 word2 special",
}
QUERIES = {f"q{n}": f"word{n % 7} word{n % 5} word{n}" for n in range(8)} | {"r1": "word1 word1 word1"}
LABELS = (
    [("q0", f"d{n:02d}", 1) for n in (3, 7, 11, 21, 28, 35)]
    + [("q1", f"d{n:02d}", 1) for n in (1, 8, 15, 22)]
    + [("q1", "e01", 1), ("r1", "d29", 1), ("r1", "d36", 2)]
    + [("q2", "d02", 1), ("q3", "d05", 0), ("q3", "d04", 1), ("q3", "d31", 1), ("q3", "d39", 1)]
    + [("q5", "d07", 1), ("q5", "d13", 1)]
)


@dataclass(frozen=True)
class Mined:
    """Everything that was mined of a snapshot, and the evidence of it."""

    inputs: MiningInputs
    cells: Mapping[str, CellsRef]
    store: Store
    evidence: Evidence


@pytest.fixture(scope="session")
def mine_world(memory_snapshot, memory_vectors) -> Callable[..., Mined]:
    """Give a function that mines labels of the small corpus, or of another one, and opens the evidence."""

    def mine(
        store: Store,
        labels: Iterable[tuple[str, str, int]] = LABELS,
        documents: Mapping[str, str] = DOCUMENTS,
        queries: Mapping[str, str] = QUERIES,
        miners: tuple[str, ...] = MINERS,
        partitions: int = 1,
        depth: int = 8,
        **changes: object,
    ) -> Mined:
        snapshot = memory_snapshot(documents, queries, labels, partitions, **changes)
        vectors = memory_vectors()
        config = MineConfig(miners=miners, depth=depth, random=RandomConfig(depth=5), query_block=4)
        statistics = open_statistics(store, prepare_statistics(config.bm25, snapshot, store))
        inputs = MiningInputs(snapshot, config, 13, "encoder", vectors, vectors, statistics)
        cells = {miner: mine_cells(inputs, miner, store) for miner in miners}
        groups = np.array([int(name[1:]) % 35 for name in sorted(documents)], dtype=np.uint32)
        return Mined(inputs, cells, store, open_evidence(inputs, cells, store, "", groups))

    return mine


@pytest.fixture(scope="session")
def bound() -> Callable[..., BoundRecipe]:
    """Give a function that binds a shipped recipe to miners."""

    def bind(name: str, k: int = 3, miners: tuple[str, ...] = MINERS) -> BoundRecipe:
        return bind_recipe(load_recipe(RecipeConfig(name=name, negatives=k)), miners, seed=5)

    return bind
