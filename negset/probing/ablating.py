"""From a configuration and what was mined to an ablation: the candidates that its recipe lets pass, composed."""

import numpy as np
import polars as pl

from negset.errors import ConfigError
from negset.probing.ablation import FOLDS, AblationReport, ablate
from negset.probing.candidates import list_candidates
from negset.probing.collection import ProbeCollection, group_rows, open_collection
from negset.probing.compositions import composable, compose
from negset.probing.folds import asks_for_new_documents, cross_folds, draw_rows
from negset.probing.opening import open_probe
from negset.probing.report import Step
from negset.probing.selecting import passing_candidates, read_ledger
from negset.probing.tuning import QUERY_LIMIT, training_splits
from negset.snapshot import open_snapshot
from negset.store import Store
from negset.training.examples import Groups
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs

LEAST = 30
"""Queries with enough candidates that an ablation needs."""


def ablate_mined(
    config: BuildConfig,
    refs: LedgerRefs,
    store: Store,
    *,
    seeds: int,
    size: int,
    seed: int,
    tell: Step = lambda line: None,
) -> AblationReport:
    """Compose sets of what the recipe of `config` lets pass of `refs`, `size` negatives a query, and compare them.

    Of at most QUERY_LIMIT training queries, drawn by lot, those with twice as many candidates take part.
    Raises ConfigError where these are fewer than `LEAST`.
    """
    snapshot = open_snapshot(store, refs.mining.snapshot)
    collection = open_collection(snapshot)
    encoder = refs.mining.encoder
    probe = open_probe("adapter", snapshot, collection, encoder.content if encoder else "", store)
    # Drawn first: what does not train is neither read nor counted in the budget.
    splits = training_splits(config, collection)
    trainable = collection.of_splits(splits)
    pool = draw_rows(collection, trainable, QUERY_LIMIT, f"{seed}:ablation")
    candidate = list_candidates(config, [config.recipe.name]).tried[0]
    passing = passing_candidates(candidate, read_ledger(candidate, refs, store, pool), store, pool)
    ranked = rank_candidates(collection, passing)
    rows = composable(ranked, pool, size)
    if len(rows) < LEAST:
        message = (
            f"{len(rows)} of {len(pool)} training queries have {2 * size} candidates that the recipe lets pass, at "
            f"least {LEAST} are needed: mine deeper (mine.depth) or give a smaller --negatives"
        )
        raise ConfigError(message)
    apart = asks_for_new_documents(collection, splits)
    folds = cross_folds(collection, rows, FOLDS, limit=QUERY_LIMIT, seed=seed, positives_apart=apart)
    tell(f"{len(rows):,} of {len(pool):,} training queries drawn have enough candidates")
    return ablate(
        probe,
        collection,
        folds,
        lambda number: compose(collection, ranked, rows, size, number),
        range(seed, seed + seeds),
        tell,
    )


def rank_candidates(collection: ProbeCollection, passing: pl.DataFrame) -> Groups:
    """Number `passing` (query_id, doc_id, score) by rows of `collection`, hardest first, for each of its queries.

    Higher scores are harder, ties by document id. What has no score, or is a known positive, is left out.
    """
    queries = collection.queries.select("query_id").with_row_index("query")
    documents = collection.doc_ids.to_frame("doc_id").with_row_index("doc")
    coded = (
        passing.filter(pl.col("score").is_not_null())
        .join(queries, on="query_id")
        .join(documents, on="doc_id")
        .join(collection.known, on=["query", "doc"], how="anti")
        .unique(["query", "doc"])
        .sort(["query", "score", "doc"], descending=[False, True, False])
    )
    groups = group_rows(coded, collection.queries.height)
    return Groups(groups.offsets, groups.rows.astype(np.int64))
