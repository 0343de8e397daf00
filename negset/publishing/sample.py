"""Choose the queries that a page shows, and gather their texts, negatives and rejected candidates."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from negset.publishing.parts import read_parts, scan_parts
from negset.snapshot import Snapshot
from negset.text import document_text

QUOTAS = {"kept": 8, "short": 2, "dropped": 2}
"""Queries shown of each fate; what one cannot fill goes to the others, in this order."""

Row = dict[str, object]


@dataclass(frozen=True)
class Example:
    """A query with all that the page shows of it. Rows are of the tables, texts by doc_id."""

    query: Row
    fate: Row
    positives: tuple[Row, ...]
    negatives: tuple[Row, ...]
    rejected: tuple[Row, ...]
    unsampled: int
    texts: dict[str, str]


def choose_examples(folder: Path, selection: Path, snapshot: Snapshot) -> list[Example]:
    """Choose about a dozen queries of the set staged in `folder` by the hash of their ids, and gather them."""
    fates = read_parts(folder, "fates")
    chosen = sample_ids(fates)
    ids = pl.DataFrame({"query_id": chosen}, schema={"query_id": pl.String})
    asked = snapshot.queries().join(ids, on="query_id", how="semi")
    mined = _ledger(selection, chosen)
    negatives = read_parts(folder, "negatives").join(ids, on="query_id", how="semi")
    positives = labelled(snapshot, ids)
    texts = document_texts_of(snapshot, [positives, negatives, mined])
    return [
        Example(
            query=_rows(asked, query_id)[0],
            fate=_rows(fates, query_id)[0],
            positives=_rows(positives, query_id),
            negatives=_rows(negatives.sort("rank"), query_id),
            rejected=_rows(mined.filter(pl.col("rejected_by").is_not_null()), query_id),
            unsampled=len(
                _rows(mined.filter(pl.col("rejected_by").is_null() & pl.col("position").is_null()), query_id)
            ),
            texts=texts,
        )
        for query_id in chosen
    ]


def sample_ids(fates: pl.DataFrame) -> list[str]:
    """Give ids of `fates` by quota and hash, kept ones first: the same ids whatever the order of the rows."""
    by_fate = {
        fate: sorted(fates.filter(pl.col("fate") == fate).get_column("query_id").to_list(), key=lot) for fate in QUOTAS
    }
    taken = {fate: ids[: QUOTAS[fate]] for fate, ids in by_fate.items()}
    spare = sum(QUOTAS.values()) - sum(len(ids) for ids in taken.values())
    for fate, ids in by_fate.items():
        more = ids[len(taken[fate]) :][: max(spare, 0)]
        taken[fate] += more
        spare -= len(more)
    return [query_id for fate in QUOTAS for query_id in taken[fate]]


def lot(query_id: str) -> str:
    """Give what a query is drawn by: no property of it."""
    return hashlib.sha256(query_id.encode()).hexdigest()


def _ledger(selection: Path, ids: Sequence[str]) -> pl.DataFrame:
    # The list of scores is shown nowhere, and reading it takes as long as all the rest.
    wanted = scan_parts(selection, "candidates").drop("scores").filter(pl.col("query_id").is_in(list(ids)))
    return wanted.collect(engine="streaming").sort(
        "query_id", "score", "doc_id", descending=[False, True, False], nulls_last=True
    )


def labelled(snapshot: Snapshot, ids: pl.DataFrame) -> pl.DataFrame:
    """Give the qrels of the queries `ids` that are positive, each pair once, sorted by pair."""
    qrels = snapshot.qrels().filter(pl.col("relevance") >= 1).join(ids, on="query_id", how="semi")
    return qrels.sort("query_id", "doc_id", "split").unique(["query_id", "doc_id"], keep="first", maintain_order=True)


def document_texts_of(snapshot: Snapshot, frames: Sequence[pl.DataFrame]) -> dict[str, str]:
    """Give the text of every document in `frames`, a partition at a time."""
    wanted = pl.concat([frame.select("doc_id") for frame in frames]).unique()
    found = pl.concat(
        snapshot.documents(name).join(wanted, on="doc_id", how="semi").select("doc_id", "title", "text")
        for name in snapshot.partitions()
    )
    return {doc_id: document_text(title, body) for doc_id, title, body in found.iter_rows()}


def _rows(frame: pl.DataFrame, query_id: str) -> tuple[Row, ...]:
    return tuple(frame.filter(pl.col("query_id") == query_id).to_dicts())
