"""Hubs on the page: the documents that are a negative of most queries."""

from typing import Final

import polars as pl

from negset.publishing.examples import clipped
from negset.publishing.html import Html, joined, tag, text
from negset.publishing.tables import table

SHOWN: Final = 10
_LONG: Final = 110
_TIMES: Final = (1, 2, 5, 10, 20, 50, 100)


def hub_section(uses: pl.DataFrame, queries: int, documents: int, texts: dict[str, str]) -> Html:
    """Show the documents in `uses` (doc_id, queries; most first) that are used most, and how uneven all uses are.

    `queries` and `documents` are those of the whole set; `texts` has the text of the documents shown.
    """
    top = uses.head(SHOWN)
    rows = [
        [doc_id, clipped(texts.get(doc_id, ""), _LONG), f"{used:,}", f"{used / queries:.2%}" if queries else ""]
        for doc_id, used in top.iter_rows()
    ]
    counts = uses.get_column("queries")
    least = [(times, int((counts >= times).sum())) for times in _TIMES]
    said = ", ".join(f"{count:,} at least {times} times" for times, count in least if count and times > 1)
    share = int(counts.head(max(uses.height // 100, 1)).sum()) / max(int(counts.sum()), 1)
    sentence = (
        f"{uses.height:,} of {documents:,} documents are a negative of some query"
        + (f", {said}. " if said else ". ")
        + f"The most used hundredth of them makes {share:.1%} of all negatives."
    )
    head = ("document", "text", "queries", "share")
    hubs = table("Documents that are a negative of most queries", head, rows, words=2)
    return joined(tag("p", text(sentence)), hubs)


def document_uses(negatives: pl.DataFrame) -> pl.DataFrame:
    """Count for each document of how many queries it is one of the `negatives`: doc_id, queries; most first."""
    used = negatives.group_by("doc_id").agg(queries=pl.col("query_id").n_unique().cast(pl.Int64))
    return used.sort("queries", "doc_id", descending=[True, False])
