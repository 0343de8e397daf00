"""Which queries are worth a place in the set: without those whose labels look wrong, within a budget.

Both are decided before a candidate is looked at; a query that is left out has its fate and its reason.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.arrays import Floats
from negset.errors import ConfigError, ContractError, InputError, hint
from negset.fingerprint import file_digest
from negset.lots import id_keys
from negset.mining.degradation import divergence, margin_drop, missed_share
from negset.mining.key_phrases import key_phrases
from negset.mining.loss_history import COLUMNS, weigh_pairs
from negset.mining.miner import MiningInputs
from negset.mining.positives import labelled_positives
from negset.mining.query_budget import spend_budget
from negset.mining.query_clusters import cluster_rows
from negset.mining.selection_inputs import SelectionInputs
from negset.text import document_texts
from schemas.config import BuildConfig, RecipeConfig

BUDGET: Final = "budget"
CONFLICT: Final = "conflict"
FAULTY_PAIR: Final = "faulty_pair"
_BUDGET_OPTIONS: Final = ("query_clusters", "query_need", "query_reference", "query_cost", "query_conflicts")
_log = logging.getLogger(__name__)


def choice_identity(config: RecipeConfig) -> tuple[object, ...]:
    """Give what the choice of queries depends on beside candidates and vectors; nothing where nothing is chosen.

    Raises ConfigError where the file of losses cannot be read.
    """
    options = (config.query_need, config.query_reference, config.query_cost, config.query_conflicts)
    budget = (config.query_budget, config.query_clusters, *options) if config.query_budget else ()
    return (*budget, pair_stats_digest(config)) if budget or config.pair_stats else ()


def check_choice(config: BuildConfig) -> None:
    """Raise ConfigError for a budget without vectors, for its options where they do nothing, and for losses lost."""
    pair_stats_digest(config.recipe)
    recipe = config.recipe
    usual = RecipeConfig()
    changed = [name for name in _BUDGET_OPTIONS if getattr(recipe, name) != getattr(usual, name)]
    if changed and not recipe.query_budget:
        message = f"recipe.{changed[0]} has no effect without recipe.query_budget"
        raise ConfigError(message)
    if bool(recipe.query_reference) != (recipe.query_need != "rank"):
        lacking = (
            "names no recipe.query_reference, whose scores to compare with"
            if recipe.query_need != "rank"
            else ("compares with nobody, so recipe.query_reference has no effect")
        )
        message = f"recipe.query_need = {recipe.query_need!r} {lacking}"
        raise ConfigError(message)
    if recipe.query_budget and "dense" not in config.mine.miners:
        message = "recipe.query_budget clusters queries by their vectors: add 'dense' to mine.miners"
        raise ConfigError(message)


def check_reference(recipe: RecipeConfig, known: Sequence[str]) -> None:
    """Raise ConfigError where a budget compares with none of `known`, the other miners and teachers of the build."""
    if recipe.query_reference and recipe.query_reference not in known:
        near = hint(recipe.query_reference, known)
        message = (
            f"recipe.query_reference is {recipe.query_reference!r}{near}, whose scores this build cannot compare "
            f"with those of the recipe's miner; it has those of {', '.join(known) or 'nobody else'}. A teacher is "
            "asked where a rule of the recipe reads its score"
        )
        raise ConfigError(message)


def pair_stats_digest(config: RecipeConfig) -> str:
    """Give the digest of the file of losses, empty where there is none."""
    if not config.pair_stats:
        return ""
    try:
        return file_digest(Path(config.pair_stats))
    except OSError as error:
        message = f"cannot read recipe.pair_stats {config.pair_stats}: {error.strerror}"
        raise ConfigError(message) from error


def choose_queries(
    config: RecipeConfig,
    known: SelectionInputs,
    inputs: MiningInputs,
    blocks: Callable[[], Iterator[pl.DataFrame]],
) -> SelectionInputs:
    """Give `known` without the queries that `config` leaves out, each with its reason, and with weights of queries.

    `blocks` goes through the candidate frames; it is called where a budget asks how well the miner finds positives.
    """
    if config.pair_stats:
        stats = read_pair_stats(Path(config.pair_stats))
        known = drop_faulty_pairs(known, stats, labelled_positives(inputs.snapshot))
    if config.query_budget:
        texts = inputs.snapshot.queries().get_column("text")
        if inputs.query_vectors is None:
            message = "a budget of queries was asked for, but the vectors of queries were not given"
            raise ContractError(message)
        rows = open_queries(known)
        vectors_QD = inputs.query_vectors.gather(texts.gather(rows).to_list())
        need_Q = _needs(config, blocks(), known.queries.height)[rows.to_numpy()]
        by_length, skips = config.query_cost == "length", config.query_conflicts == "skip"
        pairs = _pair_texts(inputs, rows, texts) if by_length or skips else []
        cost_Q = np.array([training_cost(text) for text in pairs]) if by_length else None
        concepts = key_phrases(pairs) if skips else None
        known = keep_budget(known, rows, vectors_QD.astype(np.float64), need_Q, config, cost_Q, concepts)
    return known


def _needs(config: RecipeConfig, blocks: Iterable[pl.DataFrame], queries: int) -> Floats:
    if config.query_need == "rank":
        return missed_share(blocks, queries)
    measure = margin_drop if config.query_need == "margin_drop" else divergence
    return measure(blocks, queries, config.query_reference)


def _pair_texts(inputs: MiningInputs, rows: pl.Series, texts: pl.Series) -> list[str]:
    """Give the text of each of the queries `rows` and, behind it, of its first labelled positive."""
    first = labelled_positives(inputs.snapshot).group_by("query").agg(doc=pl.col("doc").min())
    found = pl.DataFrame({"query": rows}).join(first, on="query", how="left", maintain_order="left")
    distinct = found.get_column("doc").drop_nulls().unique().sort()
    bodies = document_texts(inputs.snapshot.documents()[distinct.to_numpy()])
    body_of = dict(zip(distinct.to_list(), bodies.to_list(), strict=True))
    return [
        f"{text}\n{body_of.get(doc, '')}" for text, doc in zip(texts.gather(rows), found.get_column("doc"), strict=True)
    ]


def training_cost(text: str) -> float:
    """Give the cost of a pair by PASER: the logarithm of its words squared; two words are the least."""
    return 2 * math.log(max(len(text.split()), 2))


def read_pair_stats(path: Path, key: str = "recipe.pair_stats") -> pl.DataFrame:
    """Read the losses at `path`, which `key` names: a Parquet of query_id, positive_id, epoch and loss.

    Raises InputError where it cannot be read or lacks a column.
    """
    try:
        frame = pl.DataFrame(pl.from_arrow(pq.read_table(path)))
    except (OSError, pa.ArrowException) as error:
        message = f"cannot read {key} {path}: {error}"
        raise InputError(message) from error
    lacking = [name for name in COLUMNS if name not in frame.columns]
    if lacking:
        message = f"{key} {path} lacks {', '.join(lacking)}; it has {', '.join(frame.columns)}"
        raise InputError(message)
    kinds = {"query_id": pl.String, "positive_id": pl.String, "epoch": pl.Int64, "loss": pl.Float64}
    return frame.select(pl.col(name).cast(kind) for name, kind in kinds.items())


def drop_faulty_pairs(known: SelectionInputs, pair_stats: pl.DataFrame, labelled: pl.DataFrame) -> SelectionInputs:
    """Drop queries all of whose positives look faulty by their losses, and weigh those with bad pairs less.

    A query's weight is the mean over its `labelled` positives (query, doc), 1 for one without losses. Raises
    InputError where no pair of `pair_stats` is labelled: it is of another set.
    """
    judged = weigh_pairs(pair_stats)
    pairs = labelled.select(
        "query",
        query_id=known.queries["query_id"].gather(labelled["query"]),
        positive_id=known.doc_ids.gather(labelled["doc"]),
    ).join(judged, on=["query_id", "positive_id"], how="left", maintain_order="left")
    matched = pairs["flag"].count()
    if not matched:
        message = f"none of the {judged.height} pairs of recipe.pair_stats is labelled here: is it of this source?"
        raise InputError(message)
    counts = dict(pairs["flag"].drop_nulls().value_counts().iter_rows())
    _log.info("losses of %d pairs: %s; %d others are not labelled", matched, counts, judged.height - matched)
    by_query = pairs.group_by("query").agg(
        faulty=(pl.col("flag") == "faulty").fill_null(value=False).all(), weight=pl.col("weight").fill_null(1.0).mean()
    )
    queries = known.queries.join(by_query, on="query", how="left", maintain_order="left")
    reason = pl.coalesce("reason", pl.when(pl.col("faulty").fill_null(value=False)).then(pl.lit(FAULTY_PAIR)))
    weights_Q = queries.get_column("weight").fill_null(1.0).to_numpy()
    return replace(known, queries=queries.with_columns(reason=reason).drop("faulty", "weight"), weights=weights_Q)


def open_queries(known: SelectionInputs) -> pl.Series:
    """Give the rows of the queries that ask for negatives and have no reason to be dropped."""
    return known.queries.filter(pl.col("asked") & pl.col("reason").is_null()).get_column("query")


def keep_budget(
    known: SelectionInputs,
    rows: pl.Series,
    vectors_QD: Floats,
    need_Q: Floats,
    config: RecipeConfig,
    cost_Q: Floats | None = None,
    concepts: Sequence[Sequence[str]] | None = None,
) -> SelectionInputs:
    """Drop those of the queries `rows` that the budget does not reach, and those that it skips as contradictions.

    Vectors, needs, costs and concepts are theirs, in their order.
    """
    keys_Q = id_keys(known.queries["query_id"].gather(rows))
    cluster_Q = cluster_rows(vectors_QD, keys_Q, config.query_clusters)
    spent = spend_budget(config.query_budget, cluster_Q, need_Q, keys_Q, cost_Q, concepts)
    left, skipped = (rows.filter(pl.Series(chosen)) for chosen in (~spent.kept_Q, spent.conflict_Q))
    if concepts is not None:
        _log.info("budget of %d: %d queries kept, %d skipped as contradictions", config.query_budget,
                  int(spent.kept_Q.sum()), len(skipped))  # fmt: skip
    query = pl.col("query")
    reason = (
        pl.when(query.is_in(skipped.implode()))
        .then(pl.lit(CONFLICT))
        .when(query.is_in(left.implode()))
        .then(pl.lit(BUDGET))
        .otherwise("reason")
    )
    return replace(known, queries=known.queries.with_columns(reason=reason))
