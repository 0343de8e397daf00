"""Which queries a probe trains on and which it is measured on: never the same text on both sides."""

from dataclasses import dataclass

import numpy as np

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
    """Cut the queries `rows` into `count` folds by their texts; each is held out once and trained on otherwise.

    Of more than `limit` queries those with the smallest lots are used.
    Raises ConfigError where a fold would be empty.
    """
    pool = draw_rows(collection, rows, limit, f"{seed}:pool")
    number = (mix(collection.text_keys[pool] ^ id_keys([f"{seed}:fold"])) % np.uint64(count)).astype(np.int64)
    sizes = np.bincount(number, minlength=count)
    if not sizes.all():
        message = f"{len(pool)} queries with a positive are too few for {count} folds; give the set more queries"
        raise ConfigError(message)
    return tuple(Fold(pool[number != fold], pool[number == fold]) for fold in range(count))


def draw_rows(collection: ProbeCollection, rows: Rows, limit: int, salt: str) -> Rows:
    """Give the `limit` of the query `rows` whose texts have the smallest lots under `salt`, ascending."""
    lots = mix(collection.text_keys[rows] ^ id_keys([salt]))
    order = np.lexsort((collection.query_keys[rows], lots))
    return np.sort(rows[order[:limit]])


def _without_texts(collection: ProbeCollection, rows: Rows, texts: Keys) -> Rows:
    return rows[~np.isin(collection.text_keys[rows], texts)]
