"""Hubs: documents that stand in far too many lists.

In high dimensions every corpus has hubs (Radovanovic et al. 2010), and a poor encoder has many. A document that was
made to be found, such as one at the mean of all queries, stands out from them: so a document is held against the
other hubs of its own corpus, not against an average.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from negset.gates.verdict import verdict
from negset.publishing.parts import as_strings, part_files, read_parts, whole_queries
from schemas.expectations import CheckResult
from schemas.gates import HubsConfig

TYPICAL_RANK: Final = 10
"""The hub that others are held against: the 10th largest, so that nine poisoned documents do not hide each other.

A share of the corpus in its place would be too deep in a large one: the largest hub of WordNet's 107,525 glosses is in
4 times as many lists as the 10th, and in 16 times as many as the 108th.
"""
LEAST_LISTS: Final = 10
"""Fewer lists than this make no hub."""
MOST_ROWS: Final = 2_000_000
"""Candidates that are counted; of more, row groups are taken evenly."""

_COLUMNS: Final = ["query_id", "doc_id", "scores", "is_positive"]
_ADVICE: Final = (
    "read these documents: text that was made to be found is poison, remove it from the source; if they are genuine, "
    "the encoder does not tell queries apart, or raise gates.hubs.max_lift"
)


def hub_checks(selection: Path, staged: Path, config: HubsConfig) -> tuple[CheckResult, ...]:
    """Look for hubs in the lists of each miner below `selection` and among the negatives of the set in `staged`."""
    if config.policy == "off":
        return ()
    found = [
        _check(f"candidates_hub_{miner}", lists, f"first {config.depth} of {miner}", "candidates", config)
        for miner, lists in sorted(_lists_by_miner(selection, config.depth).items())
    ]
    negatives = read_parts(staged, "negatives", ["query_id", "doc_id"])
    counted = count_lists(negatives), negatives.get_column("query_id").n_unique()
    return (*found, _check("negatives_hub", counted, "negatives", "negatives", config))


def count_lists(lists: pl.DataFrame) -> pl.DataFrame:
    """Count in how many of `lists` (query_id, doc_id) each document stands, once for each query."""
    return (
        lists.group_by("doc_id")
        .agg(lists=pl.col("query_id").n_unique())
        .sort("lists", "doc_id", descending=[True, False])
    )


def hub_limit(counts: pl.DataFrame, queries: int, config: HubsConfig) -> float:
    """Give how many lists of `queries` a document may stand in, by `counts` (doc_id, lists) sorted by falling lists."""
    typical = counts.item(TYPICAL_RANK - 1, "lists") if counts.height >= TYPICAL_RANK else 0
    return max(LEAST_LISTS, config.max_share * queries, config.max_lift * typical)


def hubs(counts: pl.DataFrame, queries: int, config: HubsConfig) -> pl.DataFrame:
    """Give the documents in more lists than the limit, largest first: doc_id, lists, share."""
    limit = hub_limit(counts, queries, config)
    return counts.filter(pl.col("lists") > limit).with_columns(share=pl.col("lists") / queries)


def top_lists(candidates: pl.DataFrame, depth: int) -> pl.DataFrame:
    """Give name, query_id and doc_id of the first `depth` documents of each query by each score, positives left out.

    Ties go by document id. A miner that gives no scores, such as random, has no lists.
    """
    scored = candidates.filter(~pl.col("is_positive")).explode("scores", empty_as_null=False).unnest("scores")
    place = pl.int_range(pl.len()).over("name", "query_id")
    return (
        scored.sort("value", "doc_id", descending=[True, False], maintain_order=True)
        .filter(place < depth)
        .select("name", "query_id", "doc_id")
    )


def _lists_by_miner(selection: Path, depth: int) -> dict[str, tuple[pl.DataFrame, int]]:
    """Count each miner's lists a part at a time; give documents with their counts, and how many lists there are."""
    counted: list[pl.DataFrame] = []
    asked: dict[str, int] = {}
    for part in _sampled(selection):
        tops = top_lists(part, depth)
        counted.append(tops.group_by("name", "doc_id").agg(lists=pl.len()))
        for name, queries in tops.group_by("name").agg(pl.col("query_id").n_unique()).iter_rows():
            asked[name] = asked.get(name, 0) + queries
    if not counted:
        return {}
    total = pl.concat(counted).group_by("name", "doc_id").agg(pl.col("lists").sum())
    total = total.sort("lists", "doc_id", descending=[True, False])
    return {name: (total.filter(pl.col("name") == name).drop("name"), asked[name]) for name in asked}


def _sampled(selection: Path) -> Iterator[pl.DataFrame]:
    """Yield candidates in parts of whole queries: all of them, or evenly chosen row groups of very many."""
    files = part_files(selection, "candidates")
    stride = -(-sum(pq.read_metadata(path).num_rows for path in files) // MOST_ROWS)
    if stride <= 1:
        yield from (part.select(_COLUMNS) for part in whole_queries(selection, "candidates"))
        return
    number = 0
    for path in files:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                if number % stride == 0:
                    yield _inner(as_strings(pl.DataFrame(file.read_row_group(group, columns=_COLUMNS))))
                number += 1


def _inner(part: pl.DataFrame) -> pl.DataFrame:
    """Leave out the first and the last query of a `part`, of which it may hold some rows only."""
    edges = pl.concat([part.get_column("query_id").head(1), part.get_column("query_id").tail(1)])
    return part.filter(~pl.col("query_id").is_in(edges.implode()))


def _check(name: str, counted: tuple[pl.DataFrame, int], scope: str, table: str, config: HubsConfig) -> CheckResult:
    counts, queries = counted
    most = counts.item(0, "lists") if counts.height else 0
    return verdict(
        name,
        "No document stands in far more lists than the other hubs of its corpus",
        config.policy,
        table=table,
        found=hubs(counts, queries, config),
        scope=f"{scope}, {queries} lists",
        value=most / queries if queries else 0.0,
        threshold=hub_limit(counts, queries, config) / queries if queries else 0.0,
        advice=_ADVICE,
    )
