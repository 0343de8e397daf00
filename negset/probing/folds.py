"""Which queries a probe trains on and which it is measured on: never the same text on both sides.

Cross folds also keep queries that share a positive on one side, or they would measure what was memorised of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from negset.errors import ConfigError, listed
from negset.lots import id_keys, mix
from negset.probing.collection import Keys, ProbeCollection
from negset.training.examples import Rows


@dataclass(frozen=True)
class Fold:
    """Rows of queries, ascending: those that may be trained on and those that are measured."""

    trained: Rows
    held_out: Rows


def hold_out_split(
    collection: ProbeCollection, split: str, *, trained_limit: int, held_out_limit: int, seed: int
) -> Fold:
    """Measure on the queries of `split` and train on those of all others, but for texts that stand in `split` too.

    Of more than the limits, those with the smallest lots of their texts are taken.
    Raises ConfigError where `split` has no query with a positive.
    """
    held_out = collection.of_splits((split,))
    if not len(held_out):
        message = f"split {split!r} has no query with a positive; those that have are {listed(collection.splits())}"
        raise ConfigError(message)
    others = tuple(name for name in collection.splits() if name != split)
    texts = collection.text_keys
    trained = _without_texts(collection, collection.of_splits(others), np.unique(texts[held_out]))
    return Fold(
        draw_rows(collection, trained, trained_limit, f"{seed}:trained"),
        draw_rows(collection, held_out, held_out_limit, f"{seed}:held out"),
    )


def cross_folds(collection: ProbeCollection, rows: Rows, count: int, *, limit: int, seed: int) -> tuple[Fold, ...]:
    """Cut the queries `rows` into `count` folds; each is held out once and trained on otherwise.

    Queries linked by a shared text or positive, directly or through others, stay in one fold; of those linked so to
    more than a fold's size, only equal texts do (`shared_positives` counts the rest). Largest groups first, each goes
    to the smallest fold; ties by the lots of texts. Of more than `limit` queries those with the smallest lots are used.
    Raises ConfigError where a fold would be empty.
    """
    pool = draw_rows(collection, rows, limit, f"{seed}:pool")
    groups = _linked(collection, pool, len(pool) / count)
    lots = mix(collection.text_keys[pool] ^ id_keys([f"{seed}:fold"]))
    members = np.bincount(groups)
    first = np.full(len(members), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, groups, lots)
    sizes, number = np.zeros(count, dtype=np.int64), np.zeros(len(members), dtype=np.int64)
    for group in np.lexsort((first, -members)):
        number[group] = np.argmin(sizes)
        sizes[number[group]] += members[group]
    if not sizes.all():
        message = (
            f"{len(pool)} queries with a positive, {len(members)} groups of shared texts and positives, are too few "
            f"for {count} folds; give the set more queries"
        )
        raise ConfigError(message)
    fold_of = number[groups]
    return tuple(Fold(pool[fold_of != fold], pool[fold_of == fold]) for fold in range(count))


def shared_positives(collection: ProbeCollection, folds: tuple[Fold, ...]) -> int:
    """Count the held-out queries of all `folds` that share a positive with a query trained on in the same fold."""
    found = 0
    for fold in folds:
        query, doc = _positive_pairs(collection, fold.held_out)
        trained = _positive_pairs(collection, fold.trained)[1]
        found += len(np.unique(query[np.isin(doc, trained)]))
    return found


def _positive_pairs(collection: ProbeCollection, rows: Rows) -> tuple[Rows, Rows]:
    """Give the places in `rows` and the documents of all their positives."""
    sizes = collection.positives.sizes()
    query = np.repeat(np.arange(len(sizes)), sizes)
    chosen = np.isin(query, rows)
    return np.searchsorted(rows, query[chosen]), collection.positives.rows[chosen]


def _linked(collection: ProbeCollection, pool: Rows, largest: float) -> NDArray[np.int64]:
    """Number the groups of `pool`: linked by text or positive, by text alone where those are more than `largest`."""
    texts = np.unique(collection.text_keys[pool], return_inverse=True)[1].reshape(-1)
    query, doc = _positive_pairs(collection, pool)
    ends = np.unique(doc, return_inverse=True)[1].reshape(-1) + texts.max(initial=-1) + 1
    nodes = int(max(texts.max(initial=-1), ends.max(initial=-1))) + 1
    links = coo_array((np.ones(len(query)), (texts[query], ends)), shape=(nodes, nodes))
    linked = connected_components(links, directed=False)[1][texts]
    giant = np.bincount(linked)[linked] > largest
    return np.asarray(np.unique(np.where(giant, nodes + texts, linked), return_inverse=True)[1].reshape(-1), np.int64)


def draw_rows(collection: ProbeCollection, rows: Rows, limit: int, salt: str) -> Rows:
    """Give the `limit` of the query `rows` whose texts have the smallest lots under `salt`, ascending."""
    lots = mix(collection.text_keys[rows] ^ id_keys([salt]))
    order = np.lexsort((collection.query_keys[rows], lots))
    return np.sort(rows[order[:limit]])


def _without_texts(collection: ProbeCollection, rows: Rows, texts: Keys) -> Rows:
    return rows[~np.isin(collection.text_keys[rows], texts)]
