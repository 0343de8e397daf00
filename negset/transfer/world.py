"""Put sets on different corpora into one world, so that one model can be trained on all of them.

Rows of queries and documents are numbered through: those of the first corpus, then those of the second. Only vectors
of one encoder can be put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.errors import ConfigError, listed
from negset.lots import id_keys
from negset.metadata import metadata_values, require_columns
from negset.probing.adapter import BATCH, EPOCHS, AdapterProbe
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet
from negset.probing.folds import draw_rows
from negset.training.examples import Groups, Rows
from negset.transfer.matrix import Corpus, TransferGroup

TRAINED_LIMIT, HELD_OUT_LIMIT = 2000, 1000
"""Queries of a group that are trained on and measured at the most, drawn by lot."""
GROUPS = 8
"""Groups that are compared at the most: the largest."""
LEAST = 20
"""Queries to train on and to measure that a group must have."""
LEAST_STEPS, MOST_STEPS = 200, 500
"""Steps of a training: with fewer than these a map hardly moves, and nothing is seen."""


@dataclass(frozen=True)
class Member:
    """A set on its collection: its name, vectors of all queries and documents, what else is known of the queries."""

    name: str
    collection: ProbeCollection
    chosen: ProbeSet
    queries_QD: Matrix
    documents_ND: Matrix
    metadata: pl.Series
    asked_at: pl.Series


@dataclass(frozen=True)
class World:
    """Several members as one: a joined collection and set, vectors of all, and where each corpus starts."""

    collection: ProbeCollection
    chosen: ProbeSet
    corpora: tuple[Corpus, ...]
    queries_QD: Matrix
    documents_ND: Matrix

    def train(self, steps: int) -> AdapterProbe:
        """Give the probe that trains for `steps`."""
        return AdapterProbe(self.queries_QD, self.documents_ND, steps)


def join_members(members: Sequence[Member]) -> World:
    """Join `members` in their order; raise ConfigError where their vectors differ in width."""
    widths = {member.queries_QD.shape[1] for member in members}
    if len(widths) > 1:
        message = f"vectors of widths {sorted(widths)} cannot be put together: build all sets with one encoder"
        raise ConfigError(message)
    queries = np.cumsum([0, *(member.collection.queries.height for member in members)])
    documents = np.cumsum([0, *(len(member.collection.doc_ids) for member in members)])
    corpora = [
        Corpus(member.collection, int(query), int(document))
        for member, query, document in zip(members, queries[:-1], documents[:-1], strict=True)
    ]
    sets = [member.chosen for member in members]
    starts = documents[:-1].tolist()
    return World(
        collection=_join_collections(members, corpora),
        chosen=ProbeSet(
            "all",
            _join_groups([one.positives for one in sets], starts),
            _join_groups([one.negatives for one in sets], starts),
            np.concatenate([one.weights for one in sets]),
            sum(one.mistakes for one in sets),
        ),
        corpora=tuple(corpora),
        queries_QD=np.concatenate([member.queries_QD for member in members]),
        documents_ND=np.concatenate([member.documents_ND for member in members]),
    )


def _join_collections(members: Sequence[Member], corpora: Sequence[Corpus]) -> ProbeCollection:
    parts = [member.collection for member in members]
    known = [
        part.known.select(
            (pl.col("query").cast(pl.UInt32) + corpus.first_query).cast(pl.UInt32),
            (pl.col("doc").cast(pl.UInt32) + corpus.first_document).cast(pl.UInt32),
        )
        for part, corpus in zip(parts, corpora, strict=True)
    ]
    # Ids of two corpora may be equal: their lots must not be.
    salted = [[id_keys([member.name]) ^ keys for keys in _keys(member.collection)] for member in members]
    return ProbeCollection(
        content=" ".join(part.content for part in parts),
        queries=pl.concat([part.queries for part in parts]),
        doc_ids=pl.concat([part.doc_ids for part in parts]),
        document_texts=[text for part in parts for text in part.document_texts],
        positives=_join_groups([part.positives for part in parts], [corpus.first_document for corpus in corpora]),
        relevance=np.concatenate([part.relevance for part in parts]),
        known=pl.concat(known),
        query_keys=np.concatenate([query for query, _ in salted]),
        doc_keys=np.concatenate([document for _, document in salted]),
        text_keys=np.concatenate([part.text_keys for part in parts]),
    )


def _keys(collection: ProbeCollection) -> tuple[np.ndarray, np.ndarray]:
    return collection.query_keys, collection.doc_keys


def _join_groups(groups: Sequence[Groups], first_document: Sequence[int]) -> Groups:
    sizes = np.concatenate([one.sizes() for one in groups])
    rows = [one.rows + first for one, first in zip(groups, first_document, strict=True)]
    return Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), np.concatenate(rows))


def cut_groups(
    members: Sequence[Member], world: World, *, field: str, target: str, seed: int
) -> tuple[list[TransferGroup], dict[str, str]]:
    """Cut the queries of `world` into groups: a set each, and with `field` a value of that metadata field each.

    Queries of the split `target` are measured, all others train, but for those whose text stands in `target`. Groups
    that are too small, or more than `GROUPS`, are left out: name to reason. Ordered by name.
    Raises ConfigError where a set has no query in `target`, and where fewer than two groups are left.
    """
    held_texts = [world.collection.text_keys[_held_out(corpus, target)] for corpus in world.corpora]
    leaked = np.isin(world.collection.text_keys, np.concatenate(held_texts))
    found: list[TransferGroup] = []
    for part, (member, corpus) in enumerate(zip(members, world.corpora, strict=True)):
        held_out = _held_out(corpus, target)
        inside = np.arange(corpus.first_query, corpus.first_query + member.collection.queries.height)
        trained = world.chosen.usable(inside[~leaked[inside]])
        trained = np.setdiff1d(trained, _split(corpus, target))
        for name, rows in _named(member, corpus, field, only=len(members) == 1):
            group = (np.intersect1d(trained, rows), np.intersect1d(held_out, rows))
            found.append(
                TransferGroup(
                    name,
                    part,
                    draw_rows(world.collection, group[0], TRAINED_LIMIT, f"{seed}:{name}:trained"),
                    draw_rows(world.collection, group[1], HELD_OUT_LIMIT, f"{seed}:{name}:held out"),
                )
            )
    return _largest(found)


def _largest(found: Sequence[TransferGroup]) -> tuple[list[TransferGroup], dict[str, str]]:
    left_out = {
        group.name: f"{len(group.trained)} queries to train on and {len(group.held_out)} to measure, fewer than {LEAST}"
        for group in found
        if min(len(group.trained), len(group.held_out)) < LEAST
    }
    fit = sorted((one for one in found if one.name not in left_out), key=lambda one: (-len(one.trained), one.name))
    left_out |= {one.name: f"only the {GROUPS} largest groups are compared" for one in fit[GROUPS:]}
    kept = sorted(fit[:GROUPS], key=lambda one: one.name)
    if len(kept) < 2:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
        message = (
            f"{len(kept)} groups to compare, at least 2 are needed: give several sets, or --by with a metadata "
            f"field of the queries{f' ({reasons})' if reasons else ''}"
        )
        raise ConfigError(message)
    return kept, left_out


def _split(corpus: Corpus, split: str) -> Rows:
    chosen = (corpus.collection.queries.get_column("split") == split).to_numpy()
    return np.flatnonzero(chosen) + corpus.first_query


def _held_out(corpus: Corpus, target: str) -> Rows:
    rows = corpus.collection.of_splits((target,))
    if not len(rows):
        message = (
            f"split {target!r} has no query with a positive; those that have are "
            f"{listed(corpus.collection.splits())}. Set --target"
        )
        raise ConfigError(message)
    return rows + corpus.first_query


def _named(member: Member, corpus: Corpus, field: str, *, only: bool) -> list[tuple[str, Rows]]:
    """Name groups of all queries of `member`: by its name, by the values of `field`, or by both for several sets."""
    every = np.arange(member.collection.queries.height) + corpus.first_query
    if not field:
        return [(member.name, every)]
    require_columns(member.metadata, (field,), "--by", f"queries of {member.name}")
    values = metadata_values(member.metadata, (field,))[field]
    named, place = np.unique(["(none)" if value is None else str(value) for value in values], return_inverse=True)
    rows = np.split(every[np.argsort(place, kind="stable")], np.cumsum(np.bincount(place))[:-1])
    return [(name if only else f"{member.name}:{name}", part) for name, part in zip(named.tolist(), rows, strict=True)]


def training_steps(groups: Sequence[TransferGroup]) -> int:
    """Give the steps of every training: those of EPOCHS epochs of the two largest groups, within the limits."""
    sizes = sorted((len(group.trained) for group in groups), reverse=True)
    return min(MOST_STEPS, max(LEAST_STEPS, EPOCHS * -(-sum(sizes[:2]) // BATCH)))


def batch_gradients(world: World, rows: Rows, seed: int, batches: int = 8) -> Matrix:
    """Give the gradients at the start of up to `batches` equal parts of the query `rows`, (B, D * D)."""
    probe = world.train(0)
    order = np.lexsort((rows, world.collection.query_keys[rows]))
    parts = [part for part in np.array_split(rows[order], batches) if len(part)]
    return np.stack([probe.gradient(world.collection, world.chosen, np.sort(part), seed) for part in parts])
