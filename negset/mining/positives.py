"""What is known to be relevant: the labels, and all that follows from them by equal texts.

Rows are numbers, not ids: `query` is the row in the snapshot's queries and `doc` the row in its documents, both
sorted by id, so that their order is the order of the ids.
"""

from typing import TYPE_CHECKING

import polars as pl

from negset.text import text_digests

if TYPE_CHECKING:
    from negset.snapshot import Snapshot


def labelled_positives(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query`, `doc` and `relevance` of every pair that some split labels relevant, sorted, each once.

    The highest relevance stands where splits differ.
    """
    return _coded_qrels(snapshot).filter(pl.col("relevance") >= 1)


def judged_negatives(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query` and `doc` of every pair that is judged and nowhere labelled relevant, sorted."""
    return _coded_qrels(snapshot).filter(pl.col("relevance") <= 0).select("query", "doc")


def known_positives(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query` and `doc` of every pair that must never become a negative, sorted, each once.

    These are the labelled positives of every query with the same normalised text, and every document whose
    normalised title and text equal those of one of them.
    """
    query_text, doc_text = query_texts(snapshot), doc_texts(snapshot)
    labels = labelled_positives(snapshot).select("query", "doc")
    pairs = (
        labels.join(query_text, on="query")
        .join(doc_text, on="doc")
        .select(pl.col("text_sha256").alias("query_sha256"), pl.col("text_sha256_right").alias("doc_sha256"))
        .unique()
    )
    twins = pairs.join(doc_text, left_on="doc_sha256", right_on="text_sha256").select("query_sha256", "doc").unique()
    return (
        twins.join(query_text, left_on="query_sha256", right_on="text_sha256")
        .select("query", "doc")
        .unique()
        .sort("query", "doc")
    )


def own_texts(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query` and `doc` of every pair in which the document, or its title, is the query's own text, sorted.

    The title counts because a question of a forum is often a document too, its text under the same title.
    """
    documents = pl.concat([doc_texts(snapshot), doc_titles(snapshot)]).unique()
    return query_texts(snapshot).join(documents, on="text_sha256").select("query", "doc").sort("query", "doc")


def doc_titles(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `doc` and the `text_sha256` of its normalised title, of the documents that have one."""
    titled = snapshot.document_columns("title").with_row_index("doc").filter(pl.col("title").fill_null("") != "")
    digests = pl.Series(text_digests(titled.get_column("title")), dtype=pl.Binary)
    return titled.select(pl.col("doc").cast(pl.UInt32), text_sha256=digests)


def query_texts(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query` and the `text_sha256` of its normalised text."""
    return snapshot.queries().select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("query"), "text_sha256")


def doc_texts(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `doc` and the `text_sha256` of its normalised title and text."""
    digests = snapshot.document_columns("text_sha256")
    return digests.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("doc"), "text_sha256")


def doc_ids(snapshot: "Snapshot") -> pl.Series:
    """Give the ids of all documents in the order of their rows."""
    return snapshot.document_columns("doc_id").get_column("doc_id")


def _coded_qrels(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query`, `doc` and the highest `relevance` of each judged pair, sorted by pair."""
    queries = snapshot.queries().select("query_id", pl.int_range(pl.len(), dtype=pl.UInt32).alias("query"))
    ids = doc_ids(snapshot)
    documents = pl.DataFrame({"doc_id": ids, "doc": pl.int_range(len(ids), dtype=pl.UInt32, eager=True)})
    return (
        snapshot.qrels()
        .join(queries, on="query_id")
        .join(documents, on="doc_id")
        .group_by("query", "doc")
        .agg(pl.col("relevance").max())
        .sort("query", "doc")
    )
