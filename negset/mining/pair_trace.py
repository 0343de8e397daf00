"""Follow one pair of a query and a document through miners and rules."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from negset.mining.ledger import Ledger, block_frame, computed_scores
from negset.mining.ledger_documents import LedgerDocuments, open_documents
from negset.mining.miner import MiningInputs
from negset.mining.recipe import BoundRecipe
from negset.mining.rules import TRACES, traced
from negset.mining.selection import attach
from negset.mining.selection_inputs import SelectionInputs
from negset.store import Store
from schemas.manifest import Plain, Record

Outcome = Literal["passed", "rejected", "relabelled", "not asked", "scored", "weighed", "chosen", "not chosen"]
Teach = Callable[[Iterator[pl.DataFrame]], Iterator[pl.DataFrame]]


class MinerView(Record):
    """What a miner says of the pair: its place in the miner's list of the query, if it has one, and its score."""

    miner: str
    rank: int | None
    score: float | None
    positive_score: float | None
    listed: int
    """How many documents the miner proposed for the query."""
    last_score: float | None
    """The lowest score among them: what a document had to reach."""


class RuleView(Record):
    """What a rule of the recipe did with the pair, and the numbers that it compared."""

    place: int
    rule: str
    kind: str
    options: dict[str, Plain]
    outcome: Outcome
    value: float | None = None
    threshold: float | None = None


class PairTrace(Record):
    """The way of one pair. `rules` are empty where the query was dropped before its candidates were looked at."""

    proposed: bool
    miners: tuple[MinerView, ...]
    scores: dict[str, float]
    rules: tuple[RuleView, ...]
    rejected_by: str | None
    relabelled: bool
    position: int | None
    survivors: int
    place: int | None
    """Among the survivors of the query, by the recipe's scores."""


def trace_pair(
    ledger: Ledger,
    inputs: MiningInputs,
    known: SelectionInputs,
    recipe: BoundRecipe,
    store: Store,
    query: int,
    doc: int,
    folder: Path,
    teach: Teach = lambda frames: frames,
) -> PairTrace:
    """Follow the pair of the rows `query` and `doc` of the snapshot.

    A document that no miner proposed is scored by the miners, not by teachers, and goes through the rules as if it
    had been proposed last: its ranks are null. `teach` adds the teachers' columns; `folder` takes the text of the
    document.
    """
    frame = _query_frame(ledger, store, query, teach)
    proposed = bool(frame.filter(pl.col("doc") == doc).height)
    if not proposed:
        scored = replace(ledger, documents=_with_text(ledger, inputs, doc, folder))
        frame = pl.concat([frame, _unproposed(scored, frame, query, doc)], how="diagonal_relaxed")
    row = frame.row(by_predicate=pl.col("doc") == doc, named=True)
    judged, views = _apply(attach(frame, known, known.queries.filter(pl.col("query") == query)), recipe, doc)
    alive = judged.filter(pl.col("rejected_by").is_null()).sort("hardness") if views else judged.clear()
    mine = judged.filter(pl.col("doc") == doc).to_dicts()[0] if views else {}
    return PairTrace(
        proposed=proposed,
        miners=tuple(_miner_view(frame, row, miner) for miner in ledger.miners),
        scores={name.removeprefix("score_"): value for name, value in sorted({**row, **mine}.items())
                if name.startswith("score_") and value is not None},
        rules=views,
        rejected_by=mine.get("rejected_by"),
        relabelled=bool(mine.get("relabelled")),
        position=mine.get("position"),
        survivors=alive.height,
        place=next((at for at, one in enumerate(alive["doc"].to_list(), start=1) if one == doc), None),
    )  # fmt: skip


def _query_frame(ledger: Ledger, store: Store, query: int, teach: Teach) -> pl.DataFrame:
    """Give the candidates of the query alone; an empty frame in the same columns where it was not mined."""
    blocks = ledger.blocks[ledger.miners[0]]
    number = next((at for at, block in enumerate(blocks) if query in block.rows), 0)
    return next(teach(iter([block_frame(ledger, number, store)]))).filter(pl.col("query") == query)


def _with_text(ledger: Ledger, inputs: MiningInputs, doc: int, folder: Path) -> LedgerDocuments:
    labelled = np.unique(ledger.labelled % len(ledger.documents))
    return open_documents(inputs, np.append(labelled, doc), folder)


def _unproposed(ledger: Ledger, frame: pl.DataFrame, query: int, doc: int) -> pl.DataFrame:
    """Give the row of a pair that no miner proposed: scores of the miners, no ranks, and what is known of it."""
    pair = np.array([query * len(ledger.documents) + doc])
    row: dict[str, object] = {"query": query, "doc": doc}
    for miner in ledger.miners:
        score = float(computed_scores(ledger, miner, pair)[0])
        row[f"score_{miner}"] = None if np.isnan(score) else score
    for name in (name for name in frame.columns if name.startswith("positive_score")):
        row[name] = frame.item(0, name) if frame.height else None
    row["score"] = row[f"score_{ledger.by}"]
    flags = {"is_positive": ledger.known, "is_own_text": ledger.own, "judged": ledger.judged}
    row |= {name: bool(np.isin(pair, found)[0]) for name, found in flags.items()}
    return pl.DataFrame([row], schema={name: frame.schema[name] for name in row})


def _miner_view(frame: pl.DataFrame, row: dict[str, object], miner: str) -> MinerView:
    listed = frame.filter(pl.col(f"rank_{miner}").is_not_null())
    return MinerView.model_validate(
        {
            "miner": miner,
            "rank": row[f"rank_{miner}"],
            "score": row[f"score_{miner}"],
            "positive_score": row[f"positive_score_{miner}"],
            "listed": listed.height,
            "last_score": listed.get_column(f"score_{miner}").min(),
        }
    )


def _apply(frame: pl.DataFrame, recipe: BoundRecipe, doc: int) -> tuple[pl.DataFrame, tuple[RuleView, ...]]:
    """Apply the rules one after the other; no views where the query was dropped, so that `frame` is empty."""
    if not frame.height:
        return frame, ()
    views: list[RuleView] = []
    for place, step in enumerate(recipe.rules, start=1):
        before = _row(frame, doc)
        with traced():
            frame = step.rule.apply(frame.lazy(), step.params).collect()
        after = _row(frame, doc)
        views.append(
            RuleView(
                place=place,
                rule=step.rule.name,
                kind=step.rule.kind,
                options=step.params.model_dump(mode="json"),
                outcome=_outcome(step.rule.kind, before, after),
                value=after.get("traced_value", after.get(f"score_{step.rule.name}")),
                threshold=after.get("traced_threshold"),
            )
        )
        frame = frame.drop(TRACES, strict=False)
    return frame, tuple(views)


def _outcome(kind: str, before: dict[str, object], after: dict[str, object]) -> Outcome:
    if kind == "scorer":
        return "scored"
    if before["rejected_by"] is not None:
        return "not asked"
    if kind == "weigher":
        return "weighed"
    if kind == "sampler":
        return "not chosen" if after["position"] is None else "chosen"
    if after["relabelled"] and not before["relabelled"]:
        return "relabelled"
    return "passed" if after["rejected_by"] is None else "rejected"


def _row(frame: pl.DataFrame, doc: int) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("doc") == doc, named=True)


def describe_rules(rules: Sequence[RuleView]) -> list[list[str]]:
    """Give the cells of a table of `rules`: place, rule with its options, outcome, value, threshold."""
    return [
        [
            str(one.place),
            " ".join([one.rule, *(f"{name}={value}" for name, value in one.options.items() if value != "")]),
            one.outcome,
            "" if one.value is None else f"{one.value:.6g}",
            "" if one.threshold is None else f"{one.threshold:.6g}",
        ]
        for one in rules
    ]
