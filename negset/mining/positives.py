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
    labels = labelled_positives(snapshot)
    pairs = pl.DataFrame(
        {
            "query_sha256": query_text.get_column("text_sha256").gather(labels.get_column("query")),
            "doc_sha256": doc_text.get_column("text_sha256").gather(labels.get_column("doc")),
        }
    ).unique()
    twins = doc_text.join(pairs, left_on="text_sha256", right_on="doc_sha256").select("query_sha256", "doc").unique()
    return (
        query_text.join(twins, left_on="text_sha256", right_on="query_sha256")
        .select("query", "doc")
        .unique()
        .sort("query", "doc")
    )


def own_texts(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query` and `doc` of every pair in which the document, or its title, is the query's own text, sorted.

    The title counts because a question of a forum is often a document too, its text under the same title.
    """
    asked = query_texts(snapshot)
    found = [part.join(asked, on="text_sha256") for part in (doc_texts(snapshot), doc_titles(snapshot))]
    return pl.concat(found).select("query", "doc").unique().sort("query", "doc")


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
    qrels = snapshot.qrels()
    return (
        qrels.with_columns(
            query=_places(qrels.get_column("query_id"), snapshot.queries().get_column("query_id")),
            doc=_places(qrels.get_column("doc_id"), doc_ids(snapshot)),
        )
        .drop_nulls(["query", "doc"])
        .group_by("query", "doc")
        .agg(pl.col("relevance").max())
        .sort("query", "doc")
    )


def _places(names: pl.Series, ids: pl.Series) -> pl.Series:
    """Give the place of each of `names` in `ids`, which ascend; null where it is not there.

    Searching is faster than a join where few names are looked up among many.
    """
    place = ids.search_sorted(names).cast(pl.UInt32).clip(0, max(len(ids) - 1, 0))
    return place.set(ids.gather(place) != names, None)


def known_pairs(snapshot: "Snapshot") -> pl.DataFrame:
    """Give `query_id` and `doc_id` of every pair that must never be a negative."""
    coded = known_positives(snapshot)
    queries = snapshot.queries().get_column("query_id")
    return coded.select(query_id=queries.gather(coded["query"]), doc_id=doc_ids(snapshot).gather(coded["doc"]))
