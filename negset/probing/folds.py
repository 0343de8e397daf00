"""Which queries a probe trains on and which it is measured on: never the same text on both sides.

Cross folds also keep queries that share a positive on one side where the queries to come ask for other documents, or
they would measure what was memorised of it. Where those ask for the same documents again, that is what counts.
"""

from dataclasses import dataclass

import numpy as np

from negset.errors import ConfigError, listed
from negset.linkage import deal_groups, linked_groups
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


def asks_for_new_documents(collection: ProbeCollection, splits: tuple[str, ...]) -> bool:
    """Say whether queries outside `splits` ask for other documents than those of `splits`, which are trained on.

    They do where they share a positive with them less than half as often as those among each other. Of queries outside
    only this is looked at. Without any, those to come are taken to be like those of `splits`: they do not.
    """
    trained = collection.of_splits(splits)
    others = collection.of_splits(tuple(name for name in collection.splits() if name not in splits))
    if not len(others):
        return False
    asked = _positive_pairs(collection, trained)[1]
    documents, times = np.unique(asked, return_counts=True)
    again = _asking_for(collection, others, documents) / len(others)
    among = _asking_for(collection, trained, documents[times > 1]) / max(len(trained), 1)
    return again < among / 2


def cross_folds(
    collection: ProbeCollection, rows: Rows, count: int, *, limit: int, seed: int, positives_apart: bool
) -> tuple[Fold, ...]:
    """Cut the queries `rows` into `count` folds; each is held out once and trained on otherwise.

    Queries of equal text stay in one fold. With `positives_apart` those linked by a shared positive, directly or
    through others, do too, unless they are more than a fold's size (`shared_positives` counts what that leaves).
    Largest groups first, each goes to the smallest fold; ties by the lots of texts. Of more than `limit` queries those
    with the smallest lots are used. Raises ConfigError where a fold would be empty.
    """
    pool = draw_rows(collection, rows, limit, f"{seed}:pool")
    texts = np.unique(collection.text_keys[pool], return_inverse=True)[1].reshape(-1)
    largest = len(pool) / count if positives_apart else 0
    groups = linked_groups(texts, *_positive_pairs(collection, pool), largest)
    fold_of = deal_groups(groups, mix(collection.text_keys[pool] ^ id_keys([f"{seed}:fold"])), count)
    if len(np.unique(fold_of)) < count:
        message = (
            f"{len(pool)} queries with a positive, {len(np.unique(groups))} groups of shared texts and positives, "
            f"are too few for {count} folds; give the set more queries"
        )
        raise ConfigError(message)
    return tuple(Fold(pool[fold_of != fold], pool[fold_of == fold]) for fold in range(count))


def shared_positives(collection: ProbeCollection, folds: tuple[Fold, ...]) -> int:
    """Count the held-out queries of all `folds` that share a positive with a query trained on in the same fold."""
    found = 0
    for fold in folds:
        trained = _positive_pairs(collection, fold.trained)[1]
        found += _asking_for(collection, fold.held_out, trained)
    return found


def _asking_for(collection: ProbeCollection, rows: Rows, documents: Rows) -> int:
    """Count the query `rows` with a positive among `documents`."""
    query, doc = _positive_pairs(collection, rows)
    return len(np.unique(query[np.isin(doc, documents)]))


def _positive_pairs(collection: ProbeCollection, rows: Rows) -> tuple[Rows, Rows]:
    """Give the places in `rows` and the documents of all their positives."""
    sizes = collection.positives.sizes()
    query = np.repeat(np.arange(len(sizes)), sizes)
    chosen = np.isin(query, rows)
    return np.searchsorted(rows, query[chosen]), collection.positives.rows[chosen]


def draw_rows(collection: ProbeCollection, rows: Rows, limit: int, salt: str) -> Rows:
    """Give the `limit` of the query `rows` whose texts have the smallest lots under `salt`, ascending."""
    lots = mix(collection.text_keys[rows] ^ id_keys([salt]))
    order = np.lexsort((collection.query_keys[rows], lots))
    return np.sort(rows[order[:limit]])


def _without_texts(collection: ProbeCollection, rows: Rows, texts: Keys) -> Rows:
    return rows[~np.isin(collection.text_keys[rows], texts)]
