"""Cards of the run's page: a query with its results before and after, and a pair that looks bad."""

from collections.abc import Mapping
from typing import Final

from negset.publishing.examples import clipped
from negset.publishing.html import Html, joined, tag, text
from negset.training.reports.changed_queries import ChangedQuery, FoundDocument
from negset.training.reports.pair_losses import FlaggedPair

SHOWN: Final = 5
"""Results shown before the rest is folded away."""
_LONG, _SHORT = 420, 200


def changed_card(one: ChangedQuery, queries: Mapping[str, str], documents: Mapping[str, str]) -> Html:
    """Give the card of a query: both lists side by side, positives marked."""
    kind = "up" if one.after > one.before else "down"
    change = f"nDCG@10 {one.before:.3f} → {one.after:.3f}"
    return tag(
        "article",
        tag(
            "header",
            tag("h3", text(clipped(queries.get(one.query_id, ""), _LONG))),
            tag("span", text(change), class_=f"chip {kind}"),
            tag("code", text(one.query_id)),
        ),
        tag(
            "div",
            _list("before", one.found_before, documents),
            _list("after", one.found_after, documents),
            class_="sides",
        ),
        _missed(one, documents),
    )


def _list(title: str, found: tuple[FoundDocument, ...], documents: Mapping[str, str]) -> Html:
    rows = [_result(row, documents) for row in found]
    folded = tag("details", tag("summary", text(f"{len(rows) - SHOWN} more")), *rows[SHOWN:])
    return tag("div", tag("h4", text(title)), *rows[:SHOWN], folded if len(rows) > SHOWN else joined())


def _result(row: FoundDocument, documents: Mapping[str, str]) -> Html:
    facts = f" · scores {row.score:.3f}{' · positive' if row.positive else ''}"
    return tag(
        "div",
        tag("div", tag("b", text(row.rank))),
        tag(
            "div",
            tag("p", text(clipped(documents.get(row.doc_id, ""), _SHORT))),
            tag("small", tag("code", text(row.doc_id)), text(facts)),
        ),
        class_="passage positive" if row.positive else "passage",
    )


def _missed(one: ChangedQuery, documents: Mapping[str, str]) -> Html:
    """Show the positives that neither model has among its first results."""
    found = {row.doc_id for row in (*one.found_before, *one.found_after)}
    missed = [doc_id for doc_id in one.positives if doc_id not in found]
    if not missed:
        return joined()
    rows = [
        tag("p", tag("code", text(doc_id)), text(f" {clipped(documents.get(doc_id, ''), _SHORT)}"))
        for doc_id in missed[:SHOWN]
    ]
    return tag("details", tag("summary", text(f"{len(missed)} positives that neither found")), *rows)


def flagged_card(pair: FlaggedPair, queries: Mapping[str, str], documents: Mapping[str, str]) -> Html:
    """Give the card of a pair whose losses look bad: the query, its positive and the mean loss."""
    facts = f" · mean loss {pair.mean_loss:.4f} over {pair.epochs} epochs"
    return tag(
        "article",
        tag(
            "header",
            tag("h3", text(clipped(queries.get(pair.query_id, ""), _LONG))),
            tag("span", text(pair.flag), class_="chip rejected"),
            tag("code", text(pair.query_id)),
        ),
        tag(
            "div",
            tag("div", tag("b", text("+"))),
            tag(
                "div",
                tag("p", text(clipped(documents.get(pair.positive_id, ""), _LONG))),
                tag("small", tag("code", text(pair.positive_id)), text(facts)),
            ),
            class_="passage positive",
        ),
    )
