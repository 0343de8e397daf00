"""The ledger: all that the miners propose for a query, merged, scored by every miner and set beside the labels.

Cells of a block are merged under the one total order (score descending, then document), which is associative,
commutative and idempotent: how corpus and queries were cut leaves no trace in a row. Pairs are numbers here,
`query * documents + doc`, and a block is worked on as sorted arrays of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.mining.cell_files import Cell, read_candidates
from negset.mining.cells import listed_cells, query_blocks
from negset.mining.ledger_documents import LedgerDocuments, open_documents
from negset.mining.miner import MiningInputs, OpenMiner, Queries, find_miner
from negset.mining.positives import judged_negatives, known_positives, labelled_positives, own_texts
from negset.mining.recipe import basis_miner
from negset.progress import Progress, no_progress
from negset.search import Hits, join_hits, ranks, top_hits
from negset.store import Store
from schemas.refs import CellsRef


@dataclass(frozen=True)
class Ledger:
    """What every block is made from. Pairs are sorted arrays of `query * documents + doc`."""

    miners: tuple[str, ...]
    by: str
    opened: dict[str, OpenMiner]
    blocks: dict[str, list[Queries]]
    cells: dict[str, dict[int, list[Cell]]]
    documents: LedgerDocuments
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


@dataclass(frozen=True)
class Block:
    """The pairs that some miner proposed in one block, sorted, and the labelled ones, proposed or not.

    `counts` are the pairs of each query of the block.
    """

    queries: Queries
    pairs: Rows
    labelled: Rows
    counts: Rows


def candidate_blocks(
    inputs: MiningInputs,
    cells: Mapping[str, CellsRef],
    store: Store,
    by: str = "",
    progress: Progress = no_progress,
    some: range | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the candidate frame of each block of consecutive queries, or of `some` of the blocks.

    One row per (query, doc) that some miner proposed, sorted by query and doc.
    Columns: `query` and `doc` (rows of the snapshot), `miner` (the first in configured order that proposed it);
    for each miner `rank_<miner>` (its place among all that this miner proposed, positives counted),
    `score_<miner>` and `positive_score_<miner>` (lowest among the labelled positives, retrieved or not); the
    same three of the miner `by` (empty: the first whose scores mean something) without a suffix; `is_positive`,
    `is_own_text` and `judged`.
    """
    with store.staging() as folder:
        ledger = open_ledger(inputs, cells, store, folder, by)
        numbers = range(len(ledger.blocks[ledger.miners[0]])) if some is None else some
        # One block ahead: the next is merged while the caller selects from this one.
        with ThreadPoolExecutor(1) as worker:
            coming = [worker.submit(block_frame, ledger, number, store) for number in numbers[:1]]
            for place, following in enumerate([*numbers[1:], None] if numbers else []):
                frame = coming.pop().result()
                if following is not None:
                    coming.append(worker.submit(block_frame, ledger, following, store))
                yield frame
                progress("merge candidates", place + 1, len(numbers))


def open_ledger(
    inputs: MiningInputs,
    cells: Mapping[str, CellsRef],
    store: Store,
    folder: Path,
    by: str = "",
    *,
    all_texts: bool = False,
) -> Ledger:
    """Read labels, ids and the list of cells, and put the texts that scoring needs into `folder`, or all of them.

    Raises ConfigError where `by` is no configured miner.
    """
    miners = tuple(dict.fromkeys(inputs.config.miners))
    basis, snapshot = basis_miner(by, miners), inputs.snapshot
    labelled = labelled_positives(snapshot)
    documents = open_documents(inputs, labelled.get_column("doc").to_numpy(), folder, all_texts=all_texts)
    width = len(documents)
    return Ledger(
        miners=miners,
        by=basis,
        opened={miner: find_miner(miner).open_miner(inputs) for miner in miners},
        blocks={miner: query_blocks(inputs, miner) for miner in miners},
        cells={miner: _by_block(listed_cells(store, cells[miner])) for miner in miners},
        documents=documents,
        labelled=_pairs(labelled, width),
        known=_pairs(known_positives(snapshot), width),
        own=_pairs(own_texts(snapshot), width),
        judged=_pairs(judged_negatives(snapshot), width),
    )


def block_frame(ledger: Ledger, number: int, store: Store) -> pl.DataFrame:
    """Give the candidate frame of the block `number`."""
    queries = ledger.blocks[ledger.miners[0]][number]
    proposals = {miner: _proposals(ledger, miner, number, store) for miner in ledger.miners}
    pairs = _distinct([found.pairs for found in proposals.values()])
    width = len(ledger.documents)
    borders = np.append(queries.rows, queries.rows[-1:] + 1) * width
    block = Block(
        queries, pairs, _within(ledger.labelled, queries.rows, width), np.diff(np.searchsorted(pairs, borders))
    )
    columns: dict[str, pl.Series] = {}
    proposed_by = np.zeros(len(pairs), dtype=np.uint32)
    for place, miner in reversed(list(enumerate(ledger.miners))):
        spots = _spots(pairs, proposals[miner].pairs)
        proposed_by[spots] = place
        columns |= _miner_columns(ledger, miner, block, proposals[miner], spots)
    return _assemble(ledger, block, proposed_by, columns)


def _assemble(
    ledger: Ledger, block: Block, proposed_by: NDArray[np.uint32], columns: dict[str, pl.Series]
) -> pl.DataFrame:
    """Put the columns of the frame together."""
    query = np.repeat(block.queries.rows, block.counts)
    suffixed = [f"{name}_{miner}" for miner in ledger.miners for name in ("rank", "score", "positive_score")]
    names = pl.Series(ledger.miners, dtype=pl.Enum(ledger.miners))
    flags = {"is_positive": ledger.known, "is_own_text": ledger.own, "judged": ledger.judged}
    return pl.DataFrame(
        {
            "query": query.astype(np.uint32),
            "doc": (block.pairs - query * len(ledger.documents)).astype(np.uint32),
            "miner": names.gather(proposed_by),
            **{name: columns[name] for name in suffixed},
            **{name: columns[f"{name}_{ledger.by}"] for name in ("rank", "score", "positive_score")},
            **{name: _flag(block, found, len(ledger.documents)) for name, found in flags.items()},
        }
    )


def _flag(block: Block, found: Rows, width: int) -> NDArray[np.bool_]:
    """Tell which pairs of `block` stand in the sorted `found`."""
    flags = np.zeros(len(block.pairs), dtype=bool)
    some = _within(found, block.queries.rows, width)
    some = some[_is_in(some, block.pairs)]
    flags[np.searchsorted(block.pairs, some)] = True
    return flags


def _miner_columns(ledger: Ledger, miner: str, block: Block, found: Proposals, spots: Rows) -> dict[str, pl.Series]:
    """Give rank, score and the positive's score by `miner`, whose proposals stand at `spots` among the pairs."""
    rank = np.zeros(len(block.pairs), dtype=np.int32)
    rank[spots] = found.rank
    score, positive_Q = _scores(ledger, miner, block, found, spots)
    placed = pl.Series(rank)
    return {
        f"rank_{miner}": placed if len(spots) == len(rank) else placed.set(placed == 0, None),
        f"score_{miner}": pl.Series(score, nan_to_null=True),
        f"positive_score_{miner}": pl.Series(np.repeat(positive_Q, block.counts), nan_to_null=True),
    }


def _scores(ledger: Ledger, miner: str, block: Block, found: Proposals, spots: Rows) -> tuple[Floats, Floats]:
    """Give the miner's score of every pair and the lowest score of each query's labelled positives; NaN for none.

    A score comes from the miner's cells where it proposed the pair, else it is computed.
    """
    score = np.full(len(block.pairs), np.nan)
    if ledger.opened[miner].score_pairs is None:
        return score, np.full(len(block.counts), np.nan)
    score[spots] = found.score
    open_spots = np.delete(np.arange(len(score)), spots) if len(spots) < len(score) else spots[:0]
    there = _is_in(block.labelled, found.pairs)
    asked = _distinct([block.pairs[open_spots], block.labelled[~there]])
    given = _computed(ledger, miner, block.queries, asked)
    score[open_spots] = given[np.searchsorted(asked, block.pairs[open_spots])]
    positive = np.empty(len(block.labelled))
    positive[there] = found.score[np.searchsorted(found.pairs, block.labelled[there])]
    positive[~there] = given[np.searchsorted(asked, block.labelled[~there])]
    row = np.searchsorted(block.queries.rows, block.labelled // len(ledger.documents))
    lowest_Q = np.full(len(block.counts), np.nan)
    np.fmin.at(lowest_Q, row, positive)
    return score, lowest_Q


def computed_scores(ledger: Ledger, miner: str, pairs: Rows) -> Floats:
    """Give the score by `miner` of each of `pairs`, in any order; NaN where it has none or never saw the query."""
    order = np.argsort(pairs)
    sorted_P, found = pairs[order], np.full(len(pairs), np.nan)
    for queries in ledger.blocks[miner]:
        part = _within(sorted_P, queries.rows, len(ledger.documents))
        if len(part):
            places = np.searchsorted(sorted_P, part)
            found[order[places]] = _computed(ledger, miner, queries, part)
    return found


def _computed(ledger: Ledger, miner: str, queries: Queries, pairs: Rows) -> Floats:
    """Compute the miner's score of `pairs`."""
    score_pairs = ledger.opened[miner].score_pairs
    if score_pairs is None or not len(pairs):
        return np.full(len(pairs), np.nan)
    query, doc = np.divmod(pairs, len(ledger.documents))
    row_U = _distinct([doc])
    documents = ledger.documents.take(row_U)
    return score_pairs(queries, documents, np.searchsorted(queries.rows, query), np.searchsorted(row_U, doc))


def _proposals(ledger: Ledger, miner: str, number: int, store: Store) -> Proposals:
    """Merge the block's row of cells of `miner` and rank what is left of it."""
    queries = ledger.blocks[miner][number]
    parts = [_read_cell(ledger, cell, store) for cell in ledger.cells[miner].get(number, [])]
    # The rows of a single cell are in this order, and cut, already.
    hits = parts[0] if len(parts) == 1 else top_hits(join_hits(parts), queries.depths)
    pairs = queries.rows[hits.query] * len(ledger.documents) + hits.doc
    order = np.argsort(pairs)
    return Proposals(pairs[order], ranks(hits.query)[order], hits.score[order])


def _read_cell(ledger: Ledger, cell: Cell, store: Store) -> Hits:
    """Read one cell as row numbers: of the block's queries and of all documents."""
    hits = read_candidates(store, cell.fingerprint)
    return Hits(hits.query, ledger.documents.rows[cell.partition][hits.doc], hits.score)


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


def _spots(pairs: Rows, some: Rows) -> Rows:
    """Give the places of `some` of the sorted `pairs`."""
    return np.arange(len(pairs)) if len(some) == len(pairs) else np.searchsorted(pairs, some)
