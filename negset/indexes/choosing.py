"""Choose a kind of index by what building and searching cost, as measured on a part of the documents.

Every kind is built on a quarter and on the whole of a sample, searched at the target recall, and its cost carried
on to the size of each partition: searching by a straight line through both sizes (for `hnsw` a line over the
logarithm of the size), building in proportion to the size (for `hnsw` to the size times its logarithm). The cheapest
sum of building once and searching for all queries wins, and exact search wins a tie. The choice is kept under the size
class of corpus and queries, so that a build that is repeated, or grew a little, chooses the same.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.errors import ConfigError
from negset.fingerprint import fingerprint
from negset.indexes.kernels import training_rows
from negset.indexes.kind import EXACT, Setting, fewest_documents, find_kind, kind_version
from negset.indexes.recall import choose_setting
from negset.indexes.search import OpenIndex, search_index
from negset.lots import id_keys
from negset.mining.cells import mined_queries
from negset.mining.filling import open_documents
from negset.mining.miner import MiningInputs
from negset.search import Hits, search_exact
from negset.store import Store
from schemas.config import IndexKind
from schemas.refs import IndexChoiceRef

if TYPE_CHECKING:
    from negset.vectors import Vectors

VERSION: Final = 1
CANDIDATES: Final[tuple[IndexKind, ...]] = ("ivf-flat", "ivf-pq", "hnsw", "sq-fp16", "sq-int8")
KIND: Final = "kind"
COSTS: Final = "seconds"
EXACT_UP_TO: Final = "exact_up_to"

_PART: Final = 40_000  # documents of the sample
_TIMED: Final = 2048  # queries that are timed: fewer would not fill the blocks that searching works in
_WORTH: Final = 60.0  # seconds of exact search below which measuring the others costs more than it can save

_log = logging.getLogger(__name__)
ThingT = TypeVar("ThingT")


@dataclass(frozen=True)
class Cost:
    """Seconds that a kind takes: to build for so many documents, and to search one query among them."""

    build: Callable[[int], float]
    search: Callable[[int], float]


def needed(vectors: "Vectors | None") -> "Vectors":
    """Give `vectors`; raise ConfigError where there are none."""
    if vectors is None:
        message = "an index needs vectors: embed queries and documents before indexing"
        raise ConfigError(message)
    return vectors


def choice_fingerprint(inputs: MiningInputs) -> str:
    """Name what a choice depends on: encoder, target, depth, and the classes of size of partitions and queries."""
    sizes = [_size_class(size) for size in partition_sizes(inputs).values()]
    return fingerprint(
        "index choice",
        VERSION,
        inputs.encoder_content,
        [inputs.config.dense.target_recall, inputs.config.depth, inputs.seed],
        [sorted(sizes), _size_class(mined_queries(inputs).height)],
        {kind: kind_version(kind) for kind in CANDIDATES},
    )


def resolve_kind(inputs: MiningInputs, store: Store) -> IndexKind:
    """Give the kind that was chosen before, or measure and choose."""
    key = choice_fingerprint(inputs)
    found = find_choice(store, key)
    if found is not None:
        return chosen_kind(found)
    facts = _choose(inputs)
    _log.info("index %s was chosen; seconds: %s", facts[KIND], facts[COSTS])
    with store.staging() as staged:
        store.commit(IndexChoiceRef, key, key, 0, staged, facts)
    return chosen_kind(facts)


def find_choice(store: Store, key: str) -> dict[str, object] | None:
    """Give the facts of a choice that was made before, else None."""
    ref = store.ref(IndexChoiceRef, key)
    return None if ref is None else store.manifest(ref.kind, ref.fingerprint).facts


def chosen_kind(facts: Mapping[str, object]) -> IndexKind:
    """Give the kind that the `facts` of a choice name."""
    return next((kind for kind in CANDIDATES if kind == facts[KIND]), EXACT)


def describe_choice(facts: Mapping[str, object]) -> str:
    """Say what was chosen for which costs, and up to how many documents exact search is used."""
    costs, size = facts.get(COSTS), int(str(facts[EXACT_UP_TO]))
    seconds = ", ".join(f"{kind} {cost:,} s" for kind, cost in costs.items()) if isinstance(costs, dict) else ""
    limit = f"up to about {size:,} documents in a partition" if size else "at any size"
    return f"auto chose {facts[KIND]} ({seconds}); exact is cheapest {limit}"


def partition_sizes(inputs: MiningInputs) -> dict[str, int]:
    """Count the documents of each partition."""
    return {name: inputs.snapshot.documents(name).height for name in inputs.snapshot.partitions()}


def timed_queries(inputs: MiningInputs) -> pl.DataFrame:
    """Draw the mined queries that are timed, by a hash of their ids."""
    frame = mined_queries(inputs)
    kept = np.sort(np.argsort(id_keys(frame.get_column("query_id")), kind="stable")[:_TIMED])
    return frame[pl.Series(kept, dtype=pl.UInt32)]


def total_cost(cost: Cost, sizes: list[int], queries: int, fewest: int, exact: Cost) -> float:
    """Sum what building and searching all partitions takes; those under `fewest` documents are searched exactly."""
    indexed = [size for size in sizes if size >= fewest]
    rest = [size for size in sizes if size < fewest]
    return sum(cost.build(size) + queries * cost.search(size) for size in indexed) + sum(
        queries * exact.search(size) for size in rest
    )


def exact_up_to(costs: Mapping[str, Cost], queries: int) -> int:
    """Give the number of documents in one partition up to which no kind is cheaper than exact search, about.

    Where nothing but exact search was measured, that is the number from which the others would be.
    """
    exact = costs[EXACT]
    if len(costs) == 1:
        return round(_WORTH / max(queries * exact.search(1), 1e-12))
    for step in range(8 * 4, 30 * 4):
        size = round(2 ** (step / 4))
        others = [cost.build(size) + queries * cost.search(size) for kind, cost in costs.items() if kind != EXACT]
        if min(others) < queries * exact.search(size):
            return size
    return 0


def _size_class(size: int) -> int:
    return round(math.log2(size)) if size else -1


def _choose(inputs: MiningInputs) -> dict[str, object]:
    sizes, queries = list(partition_sizes(inputs).values()), mined_queries(inputs).height
    documents_ND, queries_QD = _sample(inputs)
    depth = inputs.config.depth
    exactly = partial(_search_exactly, inputs, depth)
    costs: dict[str, Cost] = {EXACT: _line(exactly, queries_QD, documents_ND)}
    totals = {EXACT: sum(queries * costs[EXACT].search(size) for size in sizes)}
    if totals[EXACT] > _WORTH:
        for kind in CANDIDATES:
            fewest = fewest_documents(kind, depth)
            if max(sizes) >= fewest:
                costs[kind] = _measure(inputs, kind, queries_QD, documents_ND)
                totals[kind] = total_cost(costs[kind], sizes, queries, fewest, costs[EXACT])
    best = min(totals, key=lambda kind: (totals[kind], kind != EXACT))
    return {
        KIND: best,
        COSTS: {kind: round(total, 1) for kind, total in totals.items()},
        EXACT_UP_TO: exact_up_to(costs, queries),
    }


def _sample(inputs: MiningInputs) -> tuple[Matrix, Matrix]:
    """Give vectors of documents of the largest partition, and of the timed queries."""
    sizes = partition_sizes(inputs)
    name = max(sizes, key=lambda one: (sizes[one], one))
    text = open_documents(inputs, name).text
    rows = pl.Series(training_rows(len(text), min(_PART, len(text)), inputs.seed))
    documents_ND = needed(inputs.document_vectors).gather(text.gather(rows).to_list())
    queries_QD = needed(inputs.query_vectors).gather(timed_queries(inputs).get_column("text").to_list())
    return documents_ND, queries_QD


def _search_exactly(inputs: MiningInputs, depth: int, queries_QD: Matrix, documents_ND: Matrix) -> Hits:
    return search_exact(queries_QD, documents_ND, np.full(len(queries_QD), depth), inputs.config.dense.backend)


def _line(search: Callable[[Matrix, Matrix], Hits], queries_QD: Matrix, documents_ND: Matrix) -> Cost:
    """Measure exact search, which takes time in proportion to the documents."""
    search(queries_QD[:64], documents_ND)
    begun = time.perf_counter()
    search(queries_QD, documents_ND)
    each = (time.perf_counter() - begun) / max(len(queries_QD), 1) / max(len(documents_ND), 1)
    return Cost(build=lambda size: 0.0, search=lambda size: each * size)


def _measure(inputs: MiningInputs, kind: IndexKind, queries_QD: Matrix, documents_ND: Matrix) -> Cost:
    """Build and search `kind` on a quarter and on all of `documents_ND`, at the target recall."""
    small = len(documents_ND) // 4
    quarter = _measure_at(inputs, kind, queries_QD, documents_ND[:small])
    whole = _measure_at(inputs, kind, queries_QD, documents_ND)
    growth: Callable[[int], float] = math.log if kind == "hnsw" else float
    slope = max(whole[1] - quarter[1], 0.0) / (growth(len(documents_ND)) - growth(small))
    work: Callable[[int], float] = (lambda size: size * math.log(size)) if kind == "hnsw" else float
    return Cost(
        build=lambda size: whole[0] * work(size) / work(len(documents_ND)),
        search=lambda size: whole[1] + slope * (growth(size) - growth(len(documents_ND))),
    )


def _measure_at(inputs: MiningInputs, kind: IndexKind, queries_QD: Matrix, documents_ND: Matrix) -> tuple[float, float]:
    """Give the seconds of building, and of searching one query."""
    module, depths = find_kind(kind), np.full(len(queries_QD), inputs.config.depth)
    begun = time.perf_counter()
    propose = module.open_index(module.build_index(documents_ND, inputs.seed), documents_ND)
    built = time.perf_counter() - begun
    some = slice(None, None, max(len(queries_QD) // 256, 1))
    known = _search_exactly(inputs, inputs.config.depth, queries_QD[some], documents_ND)

    def search(setting: Setting) -> Hits:
        return search_index(OpenIndex(propose, documents_ND, setting), queries_QD[some], depths[some])[0]

    target = inputs.config.dense.target_recall
    setting = choose_setting(
        module.settings(len(documents_ND), Setting()), known, len(queries_QD[some]), target, search
    )
    begun = time.perf_counter()
    search_index(OpenIndex(propose, documents_ND, setting), queries_QD, depths)
    return built, (time.perf_counter() - begun) / max(len(queries_QD), 1)
