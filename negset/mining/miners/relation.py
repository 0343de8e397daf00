"""Propose what a directed relation rules out: the labels read backwards, and siblings (after ASL).

For collections whose queries are documents of the corpus themselves, and whose labels have a direction ("is a part
of", "is an edited copy of"). Where the labels say that document d, as a query, has the query's own document as a
positive, d is a reverse pair (score 1). Where d, as a query, shares a positive with the query, d is a sibling (score
0.5). A known positive of the query is never proposed, so that a pair labelled both ways is left alone.

In ASL (WangWenhao0716/ASL) look-alikes and reversed pairs are the hard ones; taking them from labels is ours. Only
labels of the query's own split propose anything: what is held out shapes no negative.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from negset.fingerprint import rows_digest
from negset.mining.miner import MiningInputs, OpenMiner
from negset.mining.positives import doc_ids, known_positives, labelled_positives, own_texts
from negset.mining.scored_pairs import ScoredPairs, open_partition, score_pairs
from schemas.config import RelationConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

VERSION = 1
REVERSE, SIBLING = 1.0, 0.5
"""Scores of the two kinds."""


def identity(inputs: MiningInputs) -> object:
    """Give the content of the labels, of what is known to be positive, and of which document each query is."""
    snapshot, options = inputs.snapshot, inputs.config.relation
    names = (snapshot.queries().get_column("query_id"), doc_ids(snapshot))
    tables = (labelled_positives(snapshot), known_positives(snapshot), own_documents(snapshot, options.by))
    splits = rows_digest(snapshot.queries().select("query_id", "split"), ["query_id"])
    return {"options": options, "splits": splits, "tables": [_digest(table, *names) for table in tables]}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Find all pairs once."""
    pairs = related_pairs(inputs.snapshot, inputs.config.relation)
    query, doc = (pairs.get_column(name).to_numpy().astype(np.int64) for name in ("query", "doc"))
    found = ScoredPairs(query, doc, pairs.get_column("score").to_numpy())
    return OpenMiner(open_partition=partial(open_partition, found), score_pairs=partial(score_pairs, found))


def related_pairs(snapshot: "Snapshot", options: RelationConfig) -> pl.DataFrame:
    """Give `query`, `doc` and `score` of every proposed pair, sorted by pair, each once with its higher score.

    A query's own document and its known positives are not among them.
    """
    own = own_documents(snapshot, options.by)
    splits = snapshot.queries().select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("query"), "split")
    labels = labelled_positives(snapshot).select("query", "doc").join(splits, on="query")
    parts = [pl.DataFrame(schema={"query": pl.UInt32, "doc": pl.UInt32, "score": pl.Float64})]
    if options.reverse:
        parts.append(_reverse(labels, own.join(splits, on="query")).with_columns(score=pl.lit(REVERSE)))
    if options.siblings:
        parts.append(_siblings(labels, own, options.max_siblings).with_columns(score=pl.lit(SIBLING)))
    barred = pl.concat([own, known_positives(snapshot)])
    return (
        pl.concat(parts)
        .group_by("query", "doc")
        .agg(pl.col("score").max())
        .join(barred, on=["query", "doc"], how="anti")
        .sort("query", "doc")
    )


def own_documents(snapshot: "Snapshot", by: str) -> pl.DataFrame:
    """Give `query` and `doc` of every query that is a document, by equal ids or by equal texts, sorted."""
    if by == "text":
        return own_texts(snapshot)
    asked, documents = snapshot.queries().get_column("query_id"), doc_ids(snapshot)
    return (
        pl.DataFrame({"name": asked, "query": pl.int_range(len(asked), dtype=pl.UInt32, eager=True)})
        .join(
            pl.DataFrame({"name": documents, "doc": pl.int_range(len(documents), dtype=pl.UInt32, eager=True)}), "name"
        )
        .select("query", "doc")
        .sort("query", "doc")
    )


def _reverse(labels: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Read the labels backwards: from the query that is the target to the documents that the asking query is."""
    asking = labels.rename({"query": "other", "doc": "target"})
    return (
        asking.join(own.rename({"doc": "target"}), on=["target", "split"])
        .join(own.select(pl.col("query").alias("other"), "doc"), on="other")
        .select("query", "doc")
    )


def _siblings(labels: pl.DataFrame, own: pl.DataFrame, most: int) -> pl.DataFrame:
    """Pair each query with the next `most` of its target's queries, round the circle of their ids."""
    group = ["doc", "split"]
    ranked = labels.sort("doc", "split", "query").with_columns(
        place=pl.int_range(pl.len()).over(group), size=pl.len().cast(pl.Int64).over(group)
    )
    steps = pl.int_ranges(1, pl.min_horizontal("size", pl.lit(most + 1, dtype=pl.Int64)))
    turned = ranked.with_columns(step=steps).filter(pl.col("size") > 1).explode("step", empty_as_null=True)
    turned = turned.with_columns(place=(pl.col("place") + pl.col("step")) % pl.col("size"))
    others = ranked.select(*group, "place", pl.col("query").alias("other"))
    return (
        turned.join(others, on=[*group, "place"])
        .select("query", "other")
        .join(own.rename({"query": "other"}), on="other")
        .select("query", "doc")
    )


def _digest(pairs: pl.DataFrame, query_ids: pl.Series, documents: pl.Series) -> str:
    """Hash `pairs` by the ids of their rows, which stay when others come."""
    named = pl.DataFrame(
        {
            "query_id": query_ids.gather(pairs.get_column("query")),
            "doc_id": documents.gather(pairs.get_column("doc")),
        }
    )
    return rows_digest(named, ["query_id", "doc_id"])
