"""Leave out the pairs of each source that fit each other worst: rows that somebody slipped in often fit nothing.

A share is taken off every source, so that one of poor quality cannot hide another, and no source is spared. Nothing is
left out silently: each query has its reason, and the report counts them by source.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Floats
from negset.errors import ContractError
from negset.gates.verdict import verdict
from negset.metadata import metadata_values, require_columns
from negset.mining.positives import labelled_positives
from negset.text import document_texts
from schemas.expectations import CheckResult
from schemas.gates import PoisonConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs
    from negset.snapshot import Snapshot

LOW_QUALITY: Final = "low_quality"
_SHOWN: Final = 5


def low_quality_queries(inputs: "MiningInputs", config: PoisonConfig, splits: tuple[str, ...]) -> pl.DataFrame:
    """Give query_id and reason of the queries of `splits` (empty: all) whose labelled pairs are all of the lowest.

    Pairs are scored by the cosine of their vectors. Raises ContractError where the vectors are not given.
    """
    queries = inputs.snapshot.queries().with_row_index("query").select("query", "query_id", "split", "text")
    if splits:
        queries = queries.filter(pl.col("split").is_in(list(splits)))
    pairs = labelled_positives(inputs.snapshot).join(queries, on="query").sort("query", "doc")
    sources = document_sources(inputs.snapshot, config)
    scored = pairs.with_columns(
        source=sources.gather(pairs.get_column("doc")), score=pl.Series(_cosines(inputs, pairs), dtype=pl.Float64)
    )
    low = lowest_pairs(scored, config.drop_lowest)
    judged = low.group_by("query_id").agg(pl.col("low").all()).filter("low").sort("query_id")
    return judged.select("query_id", reason=pl.lit(LOW_QUALITY))


def lowest_pairs(pairs: pl.DataFrame, share: float) -> pl.DataFrame:
    """Add to `pairs` (query, doc, source, score) whether each is among the lowest `share` of its source.

    Of n pairs the lowest floor(share · n) are. Of equal scores the last by query and document is taken first.
    """
    place = pl.struct(-pl.col("score"), "query", "doc").rank("ordinal", descending=True)
    ordered = pairs.with_columns(_place=place.over("source"))
    # A share that is a whole number but for its last bits is that number.
    return ordered.with_columns(low=pl.col("_place") <= (share * pl.len().over("source") + 1e-9).floor()).drop("_place")


def document_sources(snapshot: "Snapshot", config: PoisonConfig) -> pl.Series:
    """Give the source of each document by row: one for all where `config` names no column, empty where it has none."""
    if not config.source:
        return pl.repeat("", snapshot.document_columns("doc_id").height, dtype=pl.String, eager=True)
    metadata = snapshot.document_columns("metadata").get_column("metadata")
    require_columns(metadata, (config.source,), "gates.poison.source", "documents")
    values = metadata_values(metadata, (config.source,))[config.source]
    return pl.Series(["" if value is None else str(value) for value in values], dtype=pl.String)


def quality_checks(snapshot: "Snapshot", fates: pl.DataFrame, config: PoisonConfig) -> tuple[CheckResult, ...]:
    """Report how many queries of each source were left out, by their `fates` (query_id, reason); it never fails."""
    if not config.drop_lowest:
        return ()
    queries = snapshot.queries().with_row_index("query").select("query", "query_id")
    first = labelled_positives(snapshot).group_by("query").agg(pl.col("doc").min()).join(queries, on="query")
    asked = fates.select("query_id", out=pl.col("reason").cast(pl.String).eq_missing(LOW_QUALITY))
    known = first.join(asked, on="query_id").sort("query")
    counted = (
        known.with_columns(source=document_sources(snapshot, config).gather(known.get_column("doc")))
        .group_by("source")
        .agg(queries=pl.len(), out=pl.col("out").sum())
        .sort("out", "source", descending=[True, False])
    )
    named = [f"{source or 'all'} {out} of {queries}" for source, queries, out in counted.head(_SHOWN).iter_rows()]
    more = f" and {counted.height - _SHOWN} more" if counted.height > _SHOWN else ""
    return (
        verdict(
            "queries_low_quality",
            f"The lowest {config.drop_lowest:.1%} of the pairs of each source are left out",
            "warn",
            table="fates",
            scope=f"queries left out by the source of their first positive: {', '.join(named)}{more}",
            value=int(counted.get_column("out").sum()) / max(known.height, 1),
        ),
    )


def _cosines(inputs: "MiningInputs", pairs: pl.DataFrame) -> Floats:
    if inputs.query_vectors is None or inputs.document_vectors is None:
        message = "gates.poison.drop_lowest scores pairs by their vectors, but they were not given"
        raise ContractError(message)
    rows = pairs.get_column("doc").unique().sort()
    bodies = document_texts(inputs.snapshot.documents()[rows.to_numpy()])
    documents_ND = inputs.document_vectors.gather(bodies.to_list()).astype(np.float64)
    queries = pairs.select("query", "text").unique("query").sort("query")
    queries_QD = inputs.query_vectors.gather(queries.get_column("text").to_list()).astype(np.float64)
    query_P = queries.get_column("query").search_sorted(pairs.get_column("query")).to_numpy()
    doc_P = rows.search_sorted(pairs.get_column("doc")).to_numpy()
    # Row by row, so that a cosine does not depend on what stands beside it.
    return np.array([float(queries_QD[query] @ documents_ND[doc]) for query, doc in zip(query_P, doc_P, strict=True)])
