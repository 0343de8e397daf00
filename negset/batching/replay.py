"""The negatives of older versions of a set, by the numbers of the queries and documents that are planned."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from negset.batching.inputs import OlderVersion
from negset.batching.versions import listed_versions
from negset.batching.view import SetView, document_rows, query_rows
from negset.training.examples import Groups


def older_versions(view: SetView) -> Sequence[OlderVersion]:
    """Give the set's own version, age 1, and those before it; known positives are nobody's negatives."""
    newest, *older = listed_versions(view.published.folder)
    queries = len(view.examples.query_ids)
    query, document = view.examples.known.take(np.arange(queries))
    known = pl.DataFrame({"query": query, "document": document})
    pairs = pl.DataFrame(schema={"version": pl.String, "query": pl.Int64, "document": pl.Int64, "rank": pl.Int32})
    if "version" in view.tables.replayed.columns:
        numbered = view.tables.replayed.join(document_rows(view), on="doc_id").join(query_rows(view), on="query_id")
        pairs = numbered.select("version", pl.col("query", "document").cast(pl.Int64), "rank")
    found = [OlderVersion(newest.version, newest.age, view.examples.negatives)]
    for one in older:
        mine = pairs.filter(pl.col("version") == one.version).sort("query", "rank")
        mine = mine.unique(["query", "document"], keep="first", maintain_order=True)
        found.append(OlderVersion(one.version, one.age, None if one.folder is None else _grouped(mine, queries, known)))
    return found


def _grouped(pairs: pl.DataFrame, queries: int, known: pl.DataFrame) -> Groups:
    kept = pairs.join(known, on=["query", "document"], how="anti", maintain_order="left")
    sizes = np.bincount(kept.get_column("query").to_numpy(), minlength=queries)
    return Groups(np.r_[0, np.cumsum(sizes)].astype(np.int64), kept.get_column("document").to_numpy())
