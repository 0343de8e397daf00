"""Scores of pairs of texts, kept for every later build: a teacher never scores the same two texts twice.

A shard is an artifact of its own with `keys.npy`, digests of the teacher and of both texts in ascending order, and
`scores.npy`, row for row. Its fingerprint begins with that of its teacher, so that shards are found by name. A shard
is committed before more pairs are scored: a kill loses one at the most.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.errors import ContractError
from negset.fingerprint import fingerprint
from negset.store import Store
from schemas.refs import PairScoresRef

KEYS: Final = "keys.npy"
SCORES: Final = "scores.npy"
KEY: Final = "S16"
"""numpy's type of a key. All keys are of one length, so none is padded."""
FAMILY: Final = 24
"""Hex digits of a shard's fingerprint that say its teacher."""

KeyArray = NDArray[np.bytes_]


def pair_keys(query_texts: Sequence[str], document_texts: Sequence[str]) -> KeyArray:
    """Hash each pair of texts, exactly as they stand. A last byte of zero becomes one, since numpy drops it."""
    digests = []
    for query, document in zip(query_texts, document_texts, strict=True):
        begun = hashlib.sha256(f"{len(query)}\0".encode())
        begun.update(query.encode("utf-8", "surrogatepass"))
        begun.update(document.encode("utf-8", "surrogatepass"))
        digest = begun.digest()[:16]
        digests.append(digest[:15] + (digest[15:] if digest[15] else b"\1"))
    return np.array(digests, dtype=KEY)


def cached_scores(
    store: Store,
    teacher: str,
    keys_P: KeyArray,
    score: Callable[[Rows], Floats],
    block: int,
    done: Callable[[int], None] = lambda _: None,
    allow: Callable[[int], None] = lambda _: None,
) -> Floats:
    """Give the scores of the pairs with `keys_P` by the teacher of this fingerprint, NaN where it has none.

    `score` is asked for rows whose keys no shard has, `block` at a time and each key once, in the order of the keys,
    which is one order whatever the order of the pairs. `done` is told how many pairs are scored, and
    `allow` beforehand how many will be, which it may refuse by an error.
    Raises ContractError for scores of another shape.
    """
    distinct, first, place_P = np.unique(keys_P, return_index=True, return_inverse=True)
    score_U = np.full(len(distinct), np.nan)
    open_U = np.ones(len(distinct), dtype=bool)
    for known, scores in _shards(store, teacher):
        if len(known):
            row = np.minimum(np.searchsorted(known, distinct), len(known) - 1)
            here = open_U & (known[row] == distinct)
            score_U[here] = scores[row[here]]
            open_U &= ~here
    missing = np.flatnonzero(open_U)
    allow(len(missing))
    done(len(distinct) - len(missing))
    for start in range(0, len(missing), block):
        part = missing[start : start + block]
        given = np.asarray(score(first[part]), dtype=np.float64)
        if given.shape != (len(part),):
            message = f"a teacher gave scores of shape {given.shape} for {len(part)} pairs"
            raise ContractError(message)
        score_U[part] = given
        _write_shard(store, teacher, distinct[part], given)
        done(len(distinct) - len(missing) + start + len(part))
    return np.asarray(score_U[place_P])


def _shards(store: Store, teacher: str) -> Iterator[tuple[KeyArray, Floats]]:
    """Yield keys and scores of each whole shard, by name: of several with a pair, the first counts."""
    family = fingerprint("pair_scores", teacher)[:FAMILY]
    for name in store.names(PairScoresRef.kind, family):
        if store.find(PairScoresRef.kind, name) is not None:
            place = store.open(PairScoresRef.kind, name)
            keys = np.load(place / KEYS, allow_pickle=False)
            yield keys, np.load(place / SCORES, allow_pickle=False)


def _write_shard(store: Store, teacher: str, keys_P: KeyArray, score_P: Floats) -> None:
    content = hashlib.sha256(keys_P.tobytes()).hexdigest()
    key = fingerprint("pair_scores", teacher)[:FAMILY] + content[FAMILY:]
    with store.staging() as staged:
        np.save(staged / KEYS, keys_P, allow_pickle=False)
        np.save(staged / SCORES, score_P, allow_pickle=False)
        store.commit(PairScoresRef, key, content, len(keys_P), staged, {"teacher": teacher})
