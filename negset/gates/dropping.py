"""Drop contaminated queries, and those whose pairs fit worst, when a set is selected, so that no gate finds them."""

from typing import TYPE_CHECKING, Final

import polars as pl

from negset.errors import ConfigError
from negset.gates.contamination import find_pairs, training_queries
from negset.gates.evaluation import all_evaluation, evaluation_content
from negset.gates.quality import low_quality_queries
from schemas.config import BuildConfig
from schemas.gates import GatesConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

QUERY_LEAK: Final = "query_leak"
NEAR_LEAK: Final = "near_leak"


def drops(config: GatesConfig) -> bool:
    """Tell whether a selection under `config` must look for contaminated queries.

    Equal texts in two splits of a source are found without this (`selection_inputs.query_leaks`).
    """
    return config.contamination.near == "drop" or (bool(config.evaluation) and config.query_leaks == "drop")


def drop_identity(config: GatesConfig) -> tuple[object, ...]:
    """Give what decides which queries are dropped under `config`; nothing where none can be."""
    leaks = (config.contamination, evaluation_content(config.evaluation)) if drops(config) else ()
    lowest = ("lowest", config.poison.drop_lowest, config.poison.source) if config.poison.drop_lowest else ()
    return (*leaks, *lowest)


def check_dropping(config: BuildConfig) -> None:
    """Raise ConfigError where pairs are to be scored and nothing gives their vectors."""
    if config.gates.poison.drop_lowest and "dense" not in config.mine.miners:
        message = "gates.poison.drop_lowest scores pairs by their vectors: add 'dense' to mine.miners"
        raise ConfigError(message)


def queries_to_drop(inputs: "MiningInputs", config: GatesConfig) -> pl.DataFrame | None:
    """Give query_id and reason of the queries of `inputs` that are dropped, each once; None where none can be."""
    found = []
    if drops(config):
        queries = inputs.snapshot.queries()
        found.append(leaking_queries(queries, all_evaluation(queries, config.evaluation), config))
    if config.poison.drop_lowest:
        found.append(low_quality_queries(inputs, config.poison, inputs.config.splits))
    return pl.concat(found).unique("query_id", keep="first", maintain_order=True) if found else None


def leaking_queries(queries: pl.DataFrame, evaluation: pl.DataFrame, config: GatesConfig) -> pl.DataFrame:
    """Give query_id and reason of the training `queries` that repeat an `evaluation` text and are dropped for it."""
    found = find_pairs(training_queries(queries), evaluation, config.contamination)
    exact = pl.col("how") == "exact"
    dropped = (exact & pl.lit(config.query_leaks == "drop")) | (~exact & pl.lit(config.contamination.near == "drop"))
    reasons = pl.when(exact).then(pl.lit(QUERY_LEAK)).otherwise(pl.lit(NEAR_LEAK))
    return found.filter(dropped).select(query_id="id", reason=reasons)
