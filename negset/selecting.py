"""The room that selects: from all of the ledger at once, or from parts that others selected.

A query's candidates decide alone what becomes of it, so that any consecutive queries can be selected by themselves.
Only a budget of queries looks at all of them first: see `has_parts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from negset import building
from negset.fingerprint import fingerprint
from negset.gates.dropping import queries_to_drop
from negset.mining import query_choice, selection_inputs
from negset.mining.cells import query_blocks
from negset.mining.duplicates import open_duplicates
from negset.mining.miner import MiningInputs
from negset.mining.recipe import BoundRecipe
from negset.mining.selection import Selection, select_blocks
from negset.mining.selection_files import write_selection
from negset.mining.selection_inputs import SelectionInputs
from negset.progress import Progress, no_progress
from negset.publishing.assembly import assemble_set
from negset.publishing.manifest import table_digest
from negset.store import Store
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs, SelectionPartRef, SelectionRef

PART_VERSION: Final = 1
_TABLES: Final = ("candidates", "negatives", "fates")


@dataclass(frozen=True)
class Opened:
    """What selecting reads: the miners' inputs, the recipe, and what is known beside the candidates."""

    inputs: MiningInputs
    bound: BoundRecipe
    known: SelectionInputs


def select(
    config: BuildConfig,
    refs: LedgerRefs,
    store: Store,
    progress: Progress = no_progress,
    parts: Sequence[SelectionPartRef] = (),
) -> SelectionRef:
    """Select by the recipe of `config`, write the tables of the set and commit them; the counts are its facts.

    With `parts`, all of them in the order of their queries, what they hold is taken instead, unless another build of
    the same set was through with them and cleared them away.
    """
    opened = open_selection(config, refs, store, progress)
    if parts and all(store.find(part.kind, part.fingerprint) for part in parts):
        selections = read_parts(store, parts, progress)
    else:
        blocks = building.scored_blocks(opened.inputs, refs, store, opened.bound, progress)
        selections = select_blocks(blocks, opened.known, opened.bound, progress)
    keep, key = config.publish.keep_candidates, building.selection_key(config, refs)
    digests: dict[str, str] = {}
    with store.staging() as staged:

        def note(path: Path, table: str, rows: pl.DataFrame) -> None:
            if keep or table != "candidates":  # what is not published needs no digest
                digests[path.relative_to(staged).as_posix()] = table_digest(rows, table)

        chosen = staged if keep else staged / building.UNPUBLISHED
        negatives = write_selection(selections, chosen, note)
        snapshot, suspects = opened.inputs.snapshot, opened.bound.suspects
        counts = assemble_set(chosen, snapshot, staged, keep_candidates=keep, suspects=suspects, told=note)
        facts: dict[str, object] = {"counts": counts.model_dump(), "rows_sha256": digests}
        return store.commit(SelectionRef, key, key, negatives, staged, facts)


def open_selection(config: BuildConfig, refs: LedgerRefs, store: Store, progress: Progress = no_progress) -> Opened:
    """Gather what selecting by the recipe of `config` reads, and choose its queries."""
    inputs, bound = building.open_inputs(config, refs.mining, store), building.bind(config)
    groups = open_duplicates(store, refs.duplicates) if refs.duplicates else None
    known = selection_inputs.open_selection_inputs(
        inputs.snapshot,
        bound,
        groups,
        splits=config.mine.splits,
        drop_leaks=config.gates.query_leaks == "drop",
        unlabelled=config.mine.unlabelled,
        dropped=queries_to_drop(inputs, config.gates),
    )
    blocks = partial(building.scored_blocks, inputs, refs, store, bound, progress)
    return Opened(inputs, bound, query_choice.choose_queries(config.recipe, known, inputs, blocks))


def has_parts(config: BuildConfig) -> bool:
    """Say whether parts of a selection can be made apart: not under a budget, for which all queries are looked at."""
    return not config.recipe.query_budget


def cut_selection(config: BuildConfig, inputs: MiningInputs, wanted: int) -> list[range]:
    """Cut the blocks of the ledger into `wanted` ranges at the most."""
    blocks = len(query_blocks(inputs, config.mine.miners[0]))
    count = min(wanted, blocks)
    return [range(blocks * place // count, blocks * (place + 1) // count) for place in range(count)]


def select_part(
    config: BuildConfig, refs: LedgerRefs, store: Store, opened: Opened, some: range, *, last: bool
) -> SelectionPartRef:
    """Select for the queries of `some` blocks of the ledger and those without candidates before the next block's.

    The first part begins with the first query; with `last` the part ends with the last one.
    """
    first, end = _span(opened, config.mine.miners[0], some, last=last)
    key = fingerprint("selection part", PART_VERSION, building.selection_key(config, refs), first, end)
    there = store.ref(SelectionPartRef, key)
    if there is not None:
        return there
    blocks = building.scored_blocks(opened.inputs, refs, store, opened.bound, some=some)
    negatives = 0
    with store.staging() as staged:
        for number, one in enumerate(select_blocks(blocks, opened.known, opened.bound, span=(first, end))):
            for table in _TABLES:
                getattr(one, table).write_ipc(staged / f"{number:05d}-{table}.arrow", compression="lz4")
            negatives += one.negatives.height
        return store.commit(SelectionPartRef, key, key, negatives, staged)


def read_parts(
    store: Store, parts: Sequence[SelectionPartRef], progress: Progress = no_progress
) -> Iterator[Selection]:
    """Yield the selections of `parts`, in their order."""
    for number, part in enumerate(parts, 1):
        folder = store.open(SelectionPartRef.kind, part.fingerprint)
        for path in sorted(folder.glob(f"*-{_TABLES[0]}.arrow")):
            stem = path.name.removesuffix(f"{_TABLES[0]}.arrow")
            frames = {table: pl.read_ipc(folder / f"{stem}{table}.arrow") for table in _TABLES}
            yield Selection(**frames)
        progress("select", number, len(parts))


def _span(opened: Opened, miner: str, some: range, *, last: bool) -> tuple[int, int]:
    blocks = query_blocks(opened.inputs, miner)
    first = int(blocks[some[0]].rows[0]) if some[0] else 0
    return first, opened.known.queries.height if last else int(blocks[some[-1] + 1].rows[0])
