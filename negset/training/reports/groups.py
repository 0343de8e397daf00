"""Groups of queries that a mean hides: domains named by a metadata field, and lengths."""

import json
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from negset.encoders.tokens import tokenise
from negset.metadata import metadata_values, require_columns
from negset.text import document_texts

Kind = Literal["domain", "query length", "positive length"]
UNNAMED: Final = "(none)"
"""Domain of a query that has no value in the field."""


@dataclass(frozen=True)
class QueryGroup:
    """Queries that belong together, by ascending id."""

    kind: Kind
    name: str
    query_ids: tuple[str, ...]


def query_domains(queries: pl.DataFrame, field: str) -> pl.DataFrame:
    """Give `query_id` and `domain`, the value of the metadata `field`, of each of `queries`, sorted by id.

    A value that is no text is written as JSON. Raises ConfigError where no query has the field.
    """
    ordered = queries.select("query_id", "metadata").sort("query_id")
    require_columns(ordered.get_column("metadata"), (field,), "report.domain_field", "queries")
    values = metadata_values(ordered.get_column("metadata"), (field,))[field]
    names = [UNNAMED if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    return ordered.select("query_id", domain=pl.Series(names, dtype=pl.String))


def domain_groups(domains: pl.DataFrame, query_ids: pl.Series) -> list[QueryGroup]:
    """Group those of `query_ids` by `domains` (query_id, domain), by name."""
    held = domains.join(query_ids.to_frame("query_id"), on="query_id", how="semi").sort("domain", "query_id")
    return [
        QueryGroup("domain", str(name[0]), tuple(part.get_column("query_id").to_list()))
        for name, part in held.group_by("domain", maintain_order=True)
    ]


def length_groups(lengths: pl.DataFrame, kind: Kind, bins: int) -> list[QueryGroup]:
    """Cut the queries of `lengths` (query_id, words) at quantiles into `bins` groups or fewer, shortest first.

    Equal lengths are never parted, so groups may differ in size.
    """
    ordered = lengths.sort("query_id")
    words = ordered.get_column("words").to_numpy()
    if not len(words):
        return []
    inner = np.quantile(words, np.arange(1, bins) / bins, method="inverted_cdf")
    place = np.searchsorted(np.unique(inner), words, side="left")
    groups = []
    for number in np.unique(place).tolist():
        part = ordered.filter(pl.Series(place == number))
        low, high = part.select(pl.col("words").min(), high=pl.col("words").max()).row(0)
        name = f"{low:g} words" if low == high else f"{low:g} to {high:g} words"
        groups.append(QueryGroup(kind, name, tuple(part.get_column("query_id").to_list())))
    return groups


def query_lengths(queries: pl.DataFrame) -> pl.DataFrame:
    """Count the `words` of each of `queries` (query_id, text)."""
    return queries.select("query_id", words=tokenise(queries.get_column("text").to_list()).list.len())


def positive_lengths(positives: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Give for each query of `positives` (query_id, doc_id) the mean number of words of its positives, rounded."""
    used = documents.join(positives.select("doc_id").unique(), on="doc_id", how="semi", maintain_order="left")
    counted = used.select("doc_id", words=tokenise(document_texts(used).to_list()).list.len())
    joined = positives.select("query_id", "doc_id").unique().join(counted, on="doc_id")
    return joined.group_by("query_id").agg(pl.col("words").mean().round().cast(pl.Int64)).sort("query_id")
