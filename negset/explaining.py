"""Say why a document is, or is not, a negative of a query: by what a version holds, or by asking its rooms again."""

from typing import Literal

import polars as pl

from negset import building
from negset.errors import ConfigError, hint
from negset.mining.ledger import open_ledger
from negset.mining.pair_trace import PairTrace, RuleView, trace_pair
from negset.mining.positives import doc_ids
from negset.publishing.diff import changed_settings
from negset.publishing.reading import PublishedSet
from negset.selecting import open_selection
from negset.store import Store
from negset.teaching.scoring import taught_blocks
from negset.text import document_text
from schemas.config import BuildConfig
from schemas.manifest import Record, SetFacts
from schemas.refs import LedgerRefs

Verdict = Literal["negative", "positive", "rejected", "not chosen", "not proposed", "query dropped", "unknown"]
_BUILDERS_OWN = "builder."
"""What made a version, not what it is made of: another release that gives the same rows may explain them."""


class Explanation(Record):
    """Why a document is, or is not, a negative of a query. `trace` is None where only the version was asked."""

    dataset: str
    version: str
    query_id: str
    query: str | None
    doc_id: str
    document: str | None
    verdict: Verdict
    because: str
    fate: str
    fate_reason: str | None
    facts: dict[str, str | float | int | None]
    """What the version's tables say of the pair."""
    scores: dict[str, float]
    rules: tuple[RuleView, ...]
    trace: PairTrace | None


def explain_published(published: PublishedSet, query_id: str, doc_id: str) -> Explanation:
    """Say what the version itself knows of the pair. Raises ConfigError for a query that it does not name.

    Candidates that no miner proposed stand in no table, and neither do rejected ones where the version was published
    without its candidates.
    """
    fates = _of_query(published, "fates", query_id)
    if not fates.height:
        known = published.table("fates")["query_id"].to_list()
        message = f"query {query_id!r} is not in {published.folder}{hint(query_id, known)}"
        raise ConfigError(message)
    fate = fates.row(0, named=True)
    found = {table: _pair(published, table, query_id, doc_id) for table in ("negatives", "positives", "candidates")}
    verdict, because = _judge(published, fate, found, _pair(published, "false_negatives", query_id, doc_id))
    best = found["candidates"] or found["negatives"] or found["positives"] or {}
    scores = best.get("scores")
    facts = {name: value for name, value in best.items() if isinstance(value, str | float | int)}
    return Explanation(
        dataset=published.manifest.dataset,
        version=published.folder.name,
        query_id=query_id,
        query=_text(published, "queries", "query_id", query_id),
        doc_id=doc_id,
        document=_text(published, "documents", "doc_id", doc_id),
        verdict=verdict,
        because=because,
        fate=str(fate["fate"]),
        fate_reason=fate["reason"],
        facts={name: value for name, value in facts.items() if name not in ("query_id", "doc_id", "split")},
        scores={str(one["name"]): float(one["value"]) for one in scores} if isinstance(scores, list) else {},
        rules=_rules_by_tables(published, found["candidates"]),
        trace=None,
    )


def explain_built(
    config: BuildConfig, refs: LedgerRefs, store: Store, published: PublishedSet, query_id: str, doc_id: str
) -> Explanation:
    """Ask the miners and rules of `config`, whose rooms gave `refs`, again; for documents never proposed too.

    Raises ConfigError where `config` does not make `published`, or the source has no such query or document.
    """
    said = explain_published(published, query_id, doc_id)
    require_same_build(published, building.describe(config, refs, store))
    opened = open_selection(config, refs, store)
    inputs, snapshot = opened.inputs, opened.inputs.snapshot
    query = _row_of(snapshot.queries()["query_id"], query_id, "query")
    doc = _row_of(doc_ids(snapshot), doc_id, "document")
    with store.staging() as folder, store.staging() as aside:
        ledger = open_ledger(inputs, refs.cells, store, folder, opened.bound.by)
        trace = trace_pair(
            ledger,
            inputs,
            opened.known,
            opened.bound,
            store,
            query,
            doc,
            aside,
            lambda frames: taught_blocks(frames, refs.scores, snapshot, refs.mining.snapshot.rows, store),
        )
    return said.model_copy(
        update={"scores": trace.scores, "rules": trace.rules, "trace": trace, **_by_trace(said, trace)}
    )


def require_same_build(published: PublishedSet, facts: SetFacts) -> None:
    """Raise ConfigError naming the settings in which `facts` differ from those of the version."""
    changed = [one for one in changed_settings(published.manifest, facts) if not one.name.startswith(_BUILDERS_OWN)]
    if changed:
        named = "; ".join(f"{one.name} is {one.after}, the version has {one.before}" for one in changed[:5])
        message = f"the build file does not make {published.folder}: {named}. Name the version that it makes"
        raise ConfigError(message)


def _by_trace(said: Explanation, trace: PairTrace) -> dict[str, str]:
    """Give verdict and reason where the rooms know more than the tables."""
    if said.verdict in ("negative", "positive", "query dropped"):
        return {}
    if not trace.proposed:
        lists = "; ".join(
            f"{one.miner} proposed {one.listed}"
            + (f", the last with {one.last_score:.6g}, this one has {one.score:.6g}"
               if one.last_score is not None and one.score is not None else "")
            for one in trace.miners
        )  # fmt: skip
        return {"verdict": "not proposed", "because": f"no miner proposed it for this query: {lists}"}
    if trace.rejected_by is not None:
        rule = next(one for one in trace.rules if one.outcome in ("rejected", "relabelled"))
        numbers = "" if rule.value is None else f": {rule.value:.6g}"
        numbers += "" if rule.threshold is None else f" against {rule.threshold:.6g}"
        return {"verdict": "rejected", "because": f"the rule {trace.rejected_by} rejected it{numbers}"}
    if trace.position is None and trace.rules:
        last = trace.rules[-1]
        taken = f"it is number {trace.place} of {trace.survivors} that were left"
        return {"verdict": "not chosen", "because": f"no rule rejected it, and {last.rule} did not take it: {taken}"}
    return {}


def _judge(
    published: PublishedSet,
    fate: dict[str, object],
    found: dict[str, dict[str, object] | None],
    suspect: dict[str, object] | None,
) -> tuple[Verdict, str]:
    negative, positive, candidate = found["negatives"], found["positives"], found["candidates"]
    if negative is not None:
        return "negative", f"it is negative number {negative['rank']} of the query, proposed by {negative['miner']}"
    if positive is not None:
        return "positive", f"it is a positive of the query: {positive['source']}, relevance {positive['relevance']}"
    if fate["fate"] == "dropped" and not fate["candidates"]:
        return "query dropped", f"the query has no negatives at all: {fate['reason']}"
    if candidate is not None and candidate["rejected_by"] is not None:
        return "rejected", f"the rule {candidate['rejected_by']} rejected it{_numbers(candidate, 'rejected_')}"
    if candidate is not None:
        return "not chosen", "no rule rejected it, and it was not among those that were taken"
    if suspect is not None:
        return "rejected", f"the rule {suspect['reason']} suspects it to be relevant{_numbers(suspect, '')}"
    if "candidates" in published.manifest.counts.rows:
        return "not proposed", "no miner proposed it for this query"
    return "unknown", "the version does not hold its candidates: give --config to ask the build again"


def _rules_by_tables(published: PublishedSet, candidate: dict[str, object] | None) -> tuple[RuleView, ...]:
    """Give the recipe's rules with what the published candidate tells of them: all before the one that rejected."""
    if candidate is None:
        return ()
    views: list[RuleView] = []
    rejected = False
    for place, step in enumerate(published.manifest.recipe.rules, start=1):
        here = candidate["rejected_by"] == step.rule
        last = place == len(published.manifest.recipe.rules)
        taken = "chosen" if candidate["position"] is not None else "not chosen"
        relabelled = "relabelled" if candidate["relabelled"] else "rejected"
        outcome = "not asked" if rejected else relabelled if here else taken if last else "passed"
        numbers = {name: candidate[f"rejected_{name}"] if here else None for name in ("value", "threshold")}
        views.append(
            RuleView.model_validate(
                {"place": place, "rule": step.rule, "kind": "", "options": step.options, "outcome": outcome, **numbers}
            )
        )
        rejected = rejected or here
    return tuple(views)


def _numbers(row: dict[str, object], prefix: str) -> str:
    value, threshold = row[f"{prefix}value"], row[f"{prefix}threshold"]
    said = "" if not isinstance(value, float) else f": {value:.6g}"
    return said if not isinstance(threshold, float) else f"{said} against {threshold:.6g}"


def _of_query(published: PublishedSet, table: str, query_id: str) -> pl.DataFrame:
    return published.table(table).filter(pl.col("query_id") == query_id)


def _pair(published: PublishedSet, table: str, query_id: str, doc_id: str) -> dict[str, object] | None:
    if table not in {file.table for file in published.manifest.files}:
        return None
    found = _of_query(published, table, query_id).filter(pl.col("doc_id") == doc_id)
    return found.to_dicts()[0] if found.height else None


def _text(published: PublishedSet, table: str, key: str, name: str) -> str | None:
    found = published.table(table).filter(pl.col(key) == name).to_dicts()
    return document_text(found[0].get("title"), found[0]["text"]) if found else None


def _row_of(ids: pl.Series, wanted: str, what: str) -> int:
    found = (ids == wanted).arg_true()
    if not len(found):
        message = f"the source has no {what} {wanted!r}{hint(wanted, ids.to_list())}"
        raise ConfigError(message)
    return int(found[0])
