"""The loss of each query with each of its positives in each epoch: the table `pair_stats` of a run."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.tables import write_table
from negset.training.examples import Examples, SetTables, document_rows
from negset.training.journal import Records

TABLE: Final = "pair_stats"


def pair_losses(records: Records, examples: Examples) -> pl.DataFrame:
    """Give query_id, positive_id, epoch (from 0) and loss of each pair trained on, sorted; a mean where it came twice.

    A positive has the id under which the run knows its text: the smallest of documents with equal texts.
    """
    coded = _means(records)
    return coded.select(
        query_id=pl.Series(examples.query_ids, dtype=pl.String).gather(coded["query"]),
        positive_id=pl.Series(examples.document_ids, dtype=pl.String).gather(coded["document"]),
        epoch="epoch",
        loss="loss",
    ).sort("query_id", "positive_id", "epoch")


def write_pair_stats(records: Records, tables: SetTables, examples: Examples, path: Path) -> None:
    """Write the losses in `records` to `path`, as `recipe.pair_stats` and the loss `dbpm` read them.

    Documents of equal texts are one to the run; here each of them that is a labelled positive of the query has a row.
    """
    queries = pl.DataFrame({"query_id": examples.query_ids}).with_row_index("query")
    labelled = (
        tables.positives.select("query_id", "doc_id")
        .unique()
        .join(queries, on="query_id")
        .join(document_rows(tables.documents, examples), on="doc_id")
        .select("query_id", pl.col("query").cast(pl.Int64), document=pl.col("doc").cast(pl.Int64), positive_id="doc_id")
    )
    rows = _means(records).join(labelled, on=["query", "document"])
    write_table(rows.select("query_id", "positive_id", "epoch", "loss"), TABLE, path)


def _means(records: Records) -> pl.DataFrame:
    columns = {name: np.ascontiguousarray(records[name]) for name in ("query", "document", "epoch", "loss")}
    keys = ["query", "document", "epoch"]
    # Added up in one order, so that no thread decides the last bit.
    means = pl.DataFrame(columns).sort([*keys, "loss"]).group_by(keys, maintain_order=True).agg(pl.col("loss").mean())
    return means.with_columns(pl.col("epoch").cast(pl.Int32))
