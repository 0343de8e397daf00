"""Drop contaminated queries when a set is selected, so that the gates find none of them."""

from typing import Final

import polars as pl

from negset.gates.contamination import find_pairs, training_queries
from negset.gates.evaluation import all_evaluation, evaluation_content
from negset.snapshot import Snapshot
from schemas.gates import GatesConfig

QUERY_LEAK: Final = "query_leak"
NEAR_LEAK: Final = "near_leak"


def drops(config: GatesConfig) -> bool:
    """Tell whether a selection under `config` must look for contaminated queries.

    Equal texts in two splits of a source are found without this (`selection_inputs.query_leaks`).
    """
    return config.contamination.near == "drop" or (bool(config.evaluation) and config.query_leaks == "drop")


def drop_identity(config: GatesConfig) -> tuple[object, ...]:
    """Give what decides which queries are dropped under `config`; nothing where none can be."""
    return (config.contamination, evaluation_content(config.evaluation)) if drops(config) else ()


def queries_to_drop(snapshot: Snapshot, config: GatesConfig) -> pl.DataFrame | None:
    """Give query_id and reason of the queries of `snapshot` that are dropped; None where none can be."""
    if not drops(config):
        return None
    queries = snapshot.queries()
    return leaking_queries(queries, all_evaluation(queries, config.evaluation), config)


def leaking_queries(queries: pl.DataFrame, evaluation: pl.DataFrame, config: GatesConfig) -> pl.DataFrame:
    """Give query_id and reason of the training `queries` that repeat an `evaluation` text and are dropped for it."""
    found = find_pairs(training_queries(queries), evaluation, config.contamination)
    exact = pl.col("how") == "exact"
    dropped = (exact & pl.lit(config.query_leaks == "drop")) | (~exact & pl.lit(config.contamination.near == "drop"))
    reasons = pl.when(exact).then(pl.lit(QUERY_LEAK)).otherwise(pl.lit(NEAR_LEAK))
    return found.filter(dropped).select(query_id="id", reason=reasons)
