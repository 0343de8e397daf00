"""What an audit reads: the candidates of a build, and what every label says of them.

A label may be taken away without mining again. Lists are longer than a build with fewer labels would have them, so
cutting them gives that build's lists; scores of pairs do not depend on labels at all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.lots import id_keys
from negset.mining.ledger import Ledger, block_frame, open_ledger
from negset.mining.miner import MiningInputs
from negset.mining.positives import doc_ids, doc_texts, known_positives, labelled_positives, query_texts
from negset.mining.selection_inputs import query_leaks
from negset.store import Store
from schemas.refs import CellsRef

Blocks = Callable[[], Iterator[pl.DataFrame]]


@dataclass(frozen=True)
class Evidence:
    """Candidates and labels of one build. Queries and documents are rows of its snapshot.

    A unit is a positive that can be known or not: all labels of queries of equal normalised text for documents of
    equal normalised text, since one label tells of all of them.
    """

    blocks: Blocks
    """Give the candidate frames of a build with all labels, in the order of the queries."""
    queries: pl.DataFrame
    """query, query_id, split, `cluster` (equal for equal texts), `words` (in the text) and `asked`: whether it gets
    negatives, having a label, a mined split and no text of a held-out query."""
    labels: pl.DataFrame
    """query, doc, unit, and the score of the pair by each miner: `score_<miner>`, null where it has none."""
    known: pl.DataFrame
    """query, doc, unit of every pair that follows from a label."""
    depths: Mapping[str, int]
    """Documents that each miner lists for a query, beside one for each of its labels."""
    by: str
    doc_ids: pl.Series
    query_keys: NDArray[np.uint64]
    doc_keys: NDArray[np.uint64]
    near_group: NDArray[np.uint32] | None


def open_evidence(
    inputs: MiningInputs,
    cells: Mapping[str, CellsRef],
    store: Store,
    by: str = "",
    near_group: NDArray[np.uint32] | None = None,
    *,
    drop_leaks: bool = True,
) -> Evidence:
    """Gather what an audit of the build of `inputs` reads; nothing is mined.

    `by` is the miner whose scores recipes compare, `near_group` the near-duplicate group of each document.
    """
    with store.staging() as folder:
        ledger = open_ledger(inputs, cells, store, folder, by)
        labels = _scored_labels(ledger, labelled_positives(inputs.snapshot))
    ids = doc_ids(inputs.snapshot)
    known = _with_units(known_positives(inputs.snapshot), inputs)
    queries = _queries(inputs, drop_leaks=drop_leaks)
    return Evidence(
        blocks=lambda: _blocks(inputs, cells, store, by),
        queries=queries,
        labels=labels.join(known, on=["query", "doc"], maintain_order="left"),
        known=known,
        depths={
            miner: inputs.config.random.depth if miner == "random" else inputs.config.depth for miner in ledger.miners
        },
        by=ledger.by,
        doc_ids=ids,
        query_keys=id_keys(queries["query_id"]),
        doc_keys=id_keys(ids),
        near_group=near_group,
    )


def _blocks(inputs: MiningInputs, cells: Mapping[str, CellsRef], store: Store, by: str) -> Iterator[pl.DataFrame]:
    with store.staging() as folder:
        ledger = open_ledger(inputs, cells, store, folder, by)
        for number in range(len(ledger.blocks[ledger.miners[0]])):
            yield block_frame(ledger, number, store)


def _scored_labels(ledger: Ledger, labels: pl.DataFrame) -> pl.DataFrame:
    """Give each of the `labels` of mined queries its score by every miner."""
    pairs = labels.select("query", "doc")
    parts = []
    for block in ledger.blocks[ledger.miners[0]]:
        mine = pairs.filter(pl.col("query").is_in(pl.Series(block.rows, dtype=pl.UInt32).implode()))
        query, doc = (mine[name].to_numpy().astype(np.int64) for name in ("query", "doc"))
        row_U = np.unique(doc)
        places = np.searchsorted(block.rows, query), np.searchsorted(row_U, doc)
        scores = {}
        for miner in ledger.miners:
            score_pairs = ledger.opened[miner].score_pairs
            found = np.full(len(query), np.nan)
            if score_pairs is not None and len(query):
                found = score_pairs(block, ledger.documents.take(row_U), *places)
            scores[f"score_{miner}"] = pl.Series(found, dtype=pl.Float64, nan_to_null=True)
        parts.append(mine.with_columns(**scores))
    empty = pairs.clear().with_columns(**{f"score_{miner}": pl.lit(None, dtype=pl.Float64) for miner in ledger.miners})
    return pl.concat([empty, *parts])


def _with_units(known: pl.DataFrame, inputs: MiningInputs) -> pl.DataFrame:
    """Number the units: pairs of equal texts, of query and of document, are one."""
    query_text, doc_text = query_texts(inputs.snapshot), doc_texts(inputs.snapshot)
    return known.with_columns(
        unit=pl.struct(
            query_text["text_sha256"].gather(known["query"]).alias("query_text"),
            doc_text["text_sha256"].gather(known["doc"]).alias("doc_text"),
        )
        .rank("dense")
        .cast(pl.UInt32)
    )


def _queries(inputs: MiningInputs, *, drop_leaks: bool) -> pl.DataFrame:
    frame = inputs.snapshot.queries().with_columns(query=pl.int_range(pl.len(), dtype=pl.UInt32))
    splits = list(inputs.config.splits) or frame["split"].unique().to_list()
    leaks = query_leaks(frame)["query_id"] if drop_leaks else pl.Series([], dtype=pl.String)
    labelled = labelled_positives(inputs.snapshot)["query"].unique()
    asked = (
        pl.col("split").is_in(splits)
        & pl.col("query").is_in(labelled.implode())
        & ~pl.col("query_id").is_in(leaks.implode())
    )
    return frame.select(
        "query",
        "query_id",
        "split",
        cluster=pl.col("text_sha256").rank("dense").cast(pl.UInt32),
        words=pl.col("text").str.split(" ").list.len(),
        asked=asked,
    )
