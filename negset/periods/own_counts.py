"""Which counts of a source are those of a partition's own rows.

What lies in other partitions, or comes later, must change nothing of this one: neither its manifest nor its id.
"""

from collections.abc import Mapping
from typing import Final

OF_OTHERS: Final = (
    "rows_read",
    "documents_read",
    "documents_later",
    "queries_read",
    "queries_later",
    "qrels_read",
    "qrels_later",
    "qrels_left_out",
)
"""Counts that rows change which belong to other partitions."""


def own_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Give the `counts` of a source without those that rows of other partitions change."""
    return {name: count for name, count in counts.items() if name not in OF_OTHERS}
