"""Select by many recipes from what was mined once, in memory, for the queries that probes train on alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from negset import building
from negset.mining.duplicates import open_duplicates
from negset.mining.selection import Selection, select_blocks
from negset.mining.selection_inputs import open_selection_inputs
from negset.probing.candidates import Candidate
from negset.probing.collection import ProbeCollection
from negset.probing.examples import ProbeSet, number_set
from negset.store import Store
from negset.training.examples import Rows
from schemas.refs import LedgerRefs

_PAIR = pl.Schema({"query_id": pl.String, "doc_id": pl.String})


@dataclass(frozen=True)
class MinedCandidates:
    """The candidate frames of some queries, as `negset.building.scored_blocks` gives them, and where they came from."""

    refs: LedgerRefs
    blocks: tuple[pl.DataFrame, ...]


def ledger_key(candidate: Candidate) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Name the candidate frames that a recipe reads: miners, the one whose scores count, teachers."""
    return tuple(candidate.config.mine.miners), candidate.bound.by, tuple(candidate.bound.teachers)


def read_ledger(candidate: Candidate, refs: LedgerRefs, store: Store, rows: Rows) -> MinedCandidates:
    """Merge what was mined for the query `rows`."""
    inputs = building.open_inputs(candidate.config, refs.mining, store)
    wanted = pl.Series(rows.astype(np.uint32))
    blocks = building.scored_blocks(inputs, refs, store, candidate.bound)
    kept = (block.filter(pl.col("query").is_in(wanted.implode())) for block in blocks)
    return MinedCandidates(refs, tuple(block for block in kept if block.height))


def select_set(
    candidate: Candidate, mined: MinedCandidates, collection: ProbeCollection, store: Store, rows: Rows
) -> ProbeSet:
    """Select by the recipe of `candidate` for the query `rows`, and number what it chose and relabelled."""
    chosen = list(_selections(candidate, mined, store, rows))
    negatives = pl.concat([one.negatives.select("query_id", "doc_id", "weight") for one in chosen])
    relabelled = pl.concat([one.candidates.filter("relabelled").select("query_id", "doc_id") for one in chosen])
    positives = None
    if relabelled.height:
        place, documents = collection.positives.take(rows)
        labelled = pl.DataFrame(
            {
                "query_id": collection.queries.get_column("query_id").gather(rows[place]),
                "doc_id": collection.doc_ids.gather(documents),
            },
            schema=_PAIR,
        )
        positives = pl.concat([labelled, relabelled.cast(_PAIR)])
    return number_set(collection, candidate.name, negatives, positives)


def passing_candidates(candidate: Candidate, mined: MinedCandidates, store: Store, rows: Rows) -> pl.DataFrame:
    """Give what the recipe of `candidate` lets pass for the query `rows`, sampled or not: query_id, doc_id, score."""
    passed = pl.col("rejected_by").is_null() & ~pl.col("is_positive") & ~pl.col("relabelled")
    parts = [
        one.candidates.filter(passed).select("query_id", "doc_id", "score")
        for one in _selections(candidate, mined, store, rows)
    ]
    return pl.concat(parts)


def _selections(candidate: Candidate, mined: MinedCandidates, store: Store, rows: Rows) -> Iterator[Selection]:
    config, bound = candidate.config, candidate.bound
    snapshot = building.open_inputs(config, mined.refs.mining, store, with_vectors=False).snapshot
    groups = open_duplicates(store, mined.refs.duplicates) if mined.refs.duplicates else None
    known = open_selection_inputs(
        snapshot, bound, groups, splits=config.mine.splits, drop_leaks=config.gates.query_leaks == "drop"
    )
    asked = known.queries.get_column("query").is_in(pl.Series(rows.astype(np.uint32)).implode())
    queries = known.queries.with_columns(asked=pl.col("asked") & asked)
    return select_blocks(mined.blocks, replace(known, queries=queries), bound)
