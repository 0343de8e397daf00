"""The same queries with as many negatives each, hard, easy, random or mixed ones: what an ablation compares."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from negset.errors import ConfigError
from negset.lots import id_keys, mix
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, random_set
from negset.training.examples import Groups, Rows

RANDOM: Final = "random"
HARD: Final = "only-hard"
EASY: Final = "only-easy"
MIXED: Final = "mixed"
NAMES: Final = (RANDOM, HARD, EASY, MIXED)


def composable(ranked: Groups, rows: Rows, size: int) -> Rows:
    """Give those of the query `rows` that have 2 * `size` candidates or more, so that hard and easy ones differ."""
    return rows[ranked.sizes()[rows] >= 2 * size]


def compose(collection: ProbeCollection, ranked: Groups, rows: Rows, size: int, seed: int) -> dict[str, ProbeSet]:
    """Give each of the query `rows` `size` negatives of each composition in `NAMES`.

    `ranked` are the candidates of each query, hardest first. Hard are the first `size` of them, easy the last; random
    ones are documents of the whole corpus, drawn anew for each `seed`; mixed are drawn from the other three, as evenly
    as `size` allows, a document that comes twice replaced by another of its kind.
    Raises ConfigError for a query with fewer candidates than `composable` asks for, and where the corpus is too small.
    """
    rows = np.sort(rows)
    short = rows[ranked.sizes()[rows] < 2 * size]
    if len(short):
        name = collection.queries.get_column("query_id")[int(short[0])]
        message = f"{len(short)} queries, such as {name!r}, have fewer than {2 * size} candidates to compose sets of"
        raise ConfigError(message)
    drawn = random_set(collection, rows, seed, 2 * size)
    lists = {
        HARD: _window(ranked, rows, size, hardest=True),
        EASY: _window(ranked, rows, size, hardest=False),
        RANDOM: _rectangle(drawn.negatives, rows, 2 * size),
    }
    lists[MIXED] = _mix(collection, lists, rows, size, seed)
    return {name: _numbered(collection, name, rows, lists[name][:, :size]) for name in NAMES}


def _window(ranked: Groups, rows: Rows, size: int, *, hardest: bool) -> Rows:
    starts = ranked.offsets[rows] if hardest else ranked.offsets[rows + 1] - size
    return np.asarray(ranked.rows[starts[:, None] + np.arange(size)])


def _rectangle(groups: Groups, rows: Rows, size: int) -> Rows:
    least = int(groups.sizes()[rows].min(initial=size))
    if least < size:
        message = f"the corpus is too small: a query gets {least} random documents, {size} are needed"
        raise ConfigError(message)
    return np.asarray(groups.rows[groups.offsets[rows][:, None] + np.arange(size)])


def _mix(collection: ProbeCollection, lists: Mapping[str, Rows], rows: Rows, size: int, seed: int) -> Rows:
    """Take turns between hard, easy and random, each in an order drawn by lot, and skip what is there already."""
    keys = collection.query_keys[rows]
    shuffled = {}
    for kind, documents_QK in lists.items():
        lots_QK = mix(mix(keys ^ id_keys([f"{seed}:{kind}:mixed"]))[:, None] + collection.doc_keys[documents_QK])
        shuffled[kind] = np.take_along_axis(documents_QK, np.argsort(lots_QK, axis=1, kind="stable"), axis=1)
    mixed = np.empty((len(rows), size), dtype=np.int64)
    for place in range(len(rows)):
        queues = [shuffled[kind][place].tolist() for kind in (HARD, EASY, RANDOM)]
        taken: list[int] = []
        turn = 0
        while len(taken) < size:
            queue = queues[turn % len(queues)]
            while queue and queue[0] in taken:
                queue.pop(0)
            if queue:
                taken.append(queue.pop(0))
            turn += 1
        mixed[place] = taken
    return mixed


def _numbered(collection: ProbeCollection, name: str, rows: Rows, documents_QK: Rows) -> ProbeSet:
    sizes = np.zeros(collection.queries.height, dtype=np.int64)
    sizes[rows] = documents_QK.shape[1]
    negatives = np.sort(documents_QK, axis=1).ravel().astype(np.int64)
    weights = np.ones(len(negatives), dtype=np.float32)
    return ProbeSet(
        name, collection.positives, Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), negatives), weights, 0
    )


def require_same_size(sets: Mapping[str, ProbeSet]) -> int:
    """Give the rows of the `sets`; raise ConfigError where a query has more in one than in another.

    A larger set trains longer and wins by that: nothing would be learned of its composition.
    """
    sizes = {name: one.negatives.sizes() for name, one in sets.items()}
    first = next(iter(sizes))
    for name, found in sizes.items():
        if not np.array_equal(found, sizes[first]):
            message = (
                f"{name!r} has {int(found.sum()):,} rows and {first!r} {int(sizes[first].sum()):,}, or other numbers "
                "for some queries: only sets of one size can be compared"
            )
            raise ConfigError(message)
    return int(sizes[first].sum())
