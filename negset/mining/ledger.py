"""The ledger: all that the miners propose for a query, merged, scored by every miner and set beside the labels.

Cells of a block are merged under the one total order (score descending, then document), which is associative,
commutative and idempotent: how corpus and queries were cut leaves no trace in a row. Pairs are numbers here,
`query * documents + doc`, and a block is worked on as sorted arrays of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.mining.cell_files import Cell, read_candidates
from negset.mining.cells import listed_cells, query_blocks
from negset.mining.miner import Documents, MiningInputs, OpenMiner, Queries, find_miner
from negset.mining.positives import judged_negatives, known_positives, labelled_positives, own_texts
from negset.mining.recipe import basis_miner
from negset.mining.times import FIRST
from negset.progress import Progress, no_progress
from negset.search import Floats, Hits, Rows, join_hits, ranks, top_hits
from negset.store import Store
from negset.text import document_texts
from schemas.refs import CellsRef

NumberT = TypeVar("NumberT", np.int64, np.float64)


@dataclass(frozen=True)
class Ledger:
    """What every block is made from. Pairs are sorted arrays of `query * documents + doc`."""

    miners: tuple[str, ...]
    by: str
    opened: dict[str, OpenMiner]
    blocks: dict[str, list[Queries]]
    cells: dict[str, dict[int, list[Cell]]]
    documents: Documents
    places: dict[str, Rows]
    labelled: Rows
    known: Rows
    own: Rows
    judged: Rows


@dataclass(frozen=True)
class Proposals:
    """Candidates of one miner in one block: sorted `pairs`, each with its rank and its score."""

    pairs: Rows
    rank: Rows
    score: Floats


def candidate_blocks(
    inputs: MiningInputs, cells: Mapping[str, CellsRef], store: Store, by: str = "", progress: Progress = no_progress
) -> Iterator[pl.DataFrame]:
    """Yield the candidate frame of each block of consecutive queries.

    One row per (query, doc) that some miner proposed, sorted by query, score descending (nulls last), doc.
    Columns: `query` and `doc` (rows of the snapshot), `miner` (the first in configured order that proposed it);
    for each miner `rank_<miner>` (its place among all that this miner proposed, positives counted),
    `score_<miner>` and `positive_score_<miner>` (lowest among the labelled positives, retrieved or not); the
    same three of the miner `by` (empty: the first whose scores mean something) without a suffix; `is_positive`,
    `is_own_text` and `judged`.
    """
    ledger = open_ledger(inputs, cells, store, by)
    blocks = ledger.blocks[ledger.miners[0]]
    for number in range(len(blocks)):
        yield block_frame(ledger, number, store)
        progress("merge candidates", number + 1, len(blocks))


def open_ledger(inputs: MiningInputs, cells: Mapping[str, CellsRef], store: Store, by: str = "") -> Ledger:
    """Read labels, ids and the list of cells; raise ConfigError where `by` is no configured miner."""
    miners = tuple(dict.fromkeys(inputs.config.miners))
    documents, places = _read_documents(inputs)
    width = len(documents.rows)
    snapshot = inputs.snapshot
    return Ledger(
        miners=miners,
        by=basis_miner(by, miners),
        opened={miner: find_miner(miner).open_miner(inputs) for miner in miners},
        blocks={miner: query_blocks(inputs, miner) for miner in miners},
        cells={miner: _by_block(listed_cells(store, cells[miner])) for miner in miners},
        documents=documents,
        places=places,
        labelled=_pairs(labelled_positives(snapshot), width),
        known=_pairs(known_positives(snapshot), width),
        own=_pairs(own_texts(snapshot), width),
        judged=_pairs(judged_negatives(snapshot), width),
    )


def block_frame(ledger: Ledger, number: int, store: Store) -> pl.DataFrame:
    """Give the candidate frame of the block `number`."""
    queries = ledger.blocks[ledger.miners[0]][number]
    proposals = {miner: _proposals(ledger, miner, number, store) for miner in ledger.miners}
    labelled = _within(ledger.labelled, queries.rows, len(ledger.documents.rows))
    pairs = _distinct([labelled, *(found.pairs for found in proposals.values())])
    columns: dict[str, pl.Series] = {}
    proposed_by = np.full(len(pairs), len(ledger.miners), dtype=np.int64)
    for place, miner in reversed(list(enumerate(ledger.miners))):
        rank = _spread(proposals[miner].rank, proposals[miner].pairs, pairs, 0)
        proposed_by[rank > 0] = place
        score = _all_scores(ledger, miner, queries, proposals[miner], pairs)
        columns |= _miner_columns(miner, rank, score, _lowest(score, pairs, labelled, len(ledger.documents.rows)))
    return _assemble(ledger, queries, pairs, proposed_by, columns)


def _assemble(
    ledger: Ledger, queries: Queries, pairs: Rows, proposed_by: Rows, columns: dict[str, pl.Series]
) -> pl.DataFrame:
    """Put the columns of the frame together; labelled positives that no miner proposed are left out."""
    query, doc = np.divmod(pairs, max(len(ledger.documents.rows), 1))
    suffixed = [f"{name}_{miner}" for miner in ledger.miners for name in ("rank", "score", "positive_score")]
    score = columns[f"score_{ledger.by}"].fill_null(-np.inf).to_numpy()
    order = np.lexsort((-score, query))  # stable: pairs are in the order of the documents already
    order = order[proposed_by[order] < len(ledger.miners)]
    flags = {name: _is_in(pairs, found) for name, found in _flags(ledger, queries).items()}
    frame = pl.DataFrame(
        {
            "query": query.astype(np.uint32),
            "doc": doc.astype(np.uint32),
            "miner": pl.Series(proposed_by.astype(np.uint32)),
            **{name: columns[name] for name in suffixed},
            **{name: columns[f"{name}_{ledger.by}"] for name in ("rank", "score", "positive_score")},
            **flags,
        }
    )
    names = pl.Series(ledger.miners, dtype=pl.Enum(ledger.miners))
    kept = frame.select(pl.all().gather(order))
    return kept.with_columns(names.gather(kept.get_column("miner")).alias("miner"))


def _flags(ledger: Ledger, queries: Queries) -> dict[str, Rows]:
    width = len(ledger.documents.rows)
    found = {"is_positive": ledger.known, "is_own_text": ledger.own, "judged": ledger.judged}
    return {name: _within(pairs, queries.rows, width) for name, pairs in found.items()}


def _miner_columns(miner: str, rank: Rows, score: Floats, positive: Floats) -> dict[str, pl.Series]:
    placed = pl.Series(rank, dtype=pl.Int32)
    return {
        f"rank_{miner}": placed.set(placed == 0, None),
        f"score_{miner}": pl.Series(score).fill_nan(None),
        f"positive_score_{miner}": pl.Series(positive).fill_nan(None),
    }


def _all_scores(ledger: Ledger, miner: str, queries: Queries, found: Proposals, pairs: Rows) -> Floats:
    """Give the miner's score of every pair: from its cells where it proposed it, else computed; NaN for none."""
    score_pairs = ledger.opened[miner].score_pairs
    if score_pairs is None:
        return np.full(len(pairs), np.nan)
    scores = _spread(found.score, found.pairs, pairs, np.nan)
    open_places = np.flatnonzero(~_is_in(pairs, found.pairs))
    query, doc = np.divmod(pairs[open_places], len(ledger.documents.rows))
    scores[open_places] = score_pairs(queries, ledger.documents, np.searchsorted(queries.rows, query), doc)
    return scores


def _lowest(score: Floats, pairs: Rows, labelled: Rows, width: int) -> Floats:
    """Give each pair the lowest score of its query's labelled positives; NaN where none of them has a score."""
    query_L = labelled // width
    starts = np.flatnonzero(np.r_[True, query_L[1:] != query_L[:-1]])
    lowest = np.fmin.reduceat(score[np.searchsorted(pairs, labelled)], starts)
    place = np.searchsorted(query_L[starts], pairs // width)
    return np.asarray(lowest[place], dtype=np.float64)


def _proposals(ledger: Ledger, miner: str, number: int, store: Store) -> Proposals:
    """Merge the block's row of cells of `miner` and rank what is left of it."""
    queries = ledger.blocks[miner][number]
    parts = [_read_cell(ledger, cell, store) for cell in ledger.cells[miner].get(number, [])]
    # The rows of a single cell are in this order, and cut, already.
    hits = parts[0] if len(parts) == 1 else top_hits(join_hits(parts), queries.depths)
    pairs = queries.rows[hits.query] * len(ledger.documents.rows) + hits.doc
    order = np.argsort(pairs)
    return Proposals(pairs[order], ranks(hits.query)[order], hits.score[order])


def _read_cell(ledger: Ledger, cell: Cell, store: Store) -> Hits:
    """Read one cell as row numbers: of the block's queries and of all documents."""
    hits = read_candidates(store, cell.fingerprint)
    return Hits(hits.query, ledger.places[cell.partition][hits.doc], hits.score)


def _read_documents(inputs: MiningInputs) -> tuple[Documents, dict[str, Rows]]:
    """Give all documents in the order of their rows, and the row of each id by partition."""
    parts = []
    for name in inputs.snapshot.partitions():
        documents = inputs.snapshot.documents(name)
        text = document_texts(documents) if "dense" in inputs.config.miners else pl.lit("").alias("text")
        parts.append(documents.select("doc_id", text, pl.lit(name).alias("partition")))
    merged = pl.concat(parts).sort("doc_id").with_row_index("doc")
    places = {
        name: merged.filter(pl.col("partition") == name).get_column("doc").to_numpy().astype(np.int64)
        for name in inputs.snapshot.partitions()
    }
    rows = np.arange(merged.height, dtype=np.int64)
    created = np.full(merged.height, FIRST, dtype=np.int64)  # scoring a pair asks no time
    return Documents(merged.get_column("doc_id"), merged.get_column("text"), rows, created), places


def _by_block(cells: list[Cell]) -> dict[int, list[Cell]]:
    found: dict[int, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.block, []).append(cell)
    return found


def _pairs(frame: pl.DataFrame, width: int) -> Rows:
    """Give the `query` and `doc` of each row as one number, sorted."""
    query, doc = (frame.get_column(name).to_numpy().astype(np.int64) for name in ("query", "doc"))
    return np.sort(query * width + doc)


def _within(pairs: Rows, row_Q: Rows, width: int) -> Rows:
    """Give those of the sorted `pairs` whose query is one of the sorted `row_Q`."""
    if not len(row_Q):
        return pairs[:0]
    first, last = np.searchsorted(pairs, [row_Q[0] * width, (row_Q[-1] + 1) * width])
    part = pairs[first:last]
    return part[_is_in(part // max(width, 1), row_Q)]


def _is_in(values: Rows, found: Rows) -> NDArray[np.bool_]:
    """Tell which of `values` stand in the sorted `found`."""
    if not len(found):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(found, values), len(found) - 1)
    return np.asarray(found[place] == values)


def _distinct(parts: Sequence[Rows]) -> Rows:
    """Give the values of all `parts` sorted, each once; ten times faster than `np.unique`, which hashes."""
    values = np.sort(np.concatenate(parts))
    return values[np.r_[True, values[1:] != values[:-1]]] if len(values) else values


def _spread(values: NDArray[NumberT], pairs: Rows, among: Rows, empty: float) -> NDArray[NumberT]:
    """Place `values` of `pairs` at their places in the sorted `among`; `empty` elsewhere."""
    spread = np.full(len(among), empty, dtype=values.dtype)
    spread[np.searchsorted(among, pairs)] = values
    return spread
