"""The browser of examples on the page: the data that its script reads, and what stands there for it to fill.

The script (`browser.js`) sets texts as text and never as markup. Votes are saved by the same lines as on the page
that `negset audit --sample` writes (`negset/audit/ballot.js`), so that one command reads both.
"""

import math
from collections.abc import Iterator
from importlib import resources
from typing import Final

import polars as pl

from negset.audit.votes import WORDS
from negset.publishing.examples import REASONS
from negset.publishing.html import Html, data_block, joined, tag, text
from negset.publishing.shown import Shown
from schemas.manifest import SetManifest

_DIGITS: Final = 4
ORDERS: Final = {"near": "most suspicious first", "lot": "drawn by lot, to vote on", "query": "every query, by id"}
FATES: Final = ("kept", "short", "dropped")


def browser_section(shown: Shown, manifest: SetManifest, identity: str) -> Html:
    """Give the browser of `shown`, hidden until its script has filled it."""
    rules = sorted(shown.rejected.get_column("rejected_by").unique().to_list())
    controls = tag(
        "div",
        _labelled("Search queries, documents and ids", tag("input", id="search", type="search", autocomplete="off")),
        _choice("order", "Order", [*ORDERS.items()]),
        _choice("fate", "Queries", [("", "all"), *((fate, fate) for fate in FATES), ("voted", "voted on")]),
        _choice("rule", "With a candidate rejected by", [("", "any rule or none"), *((rule, rule) for rule in rules)]),
        role="search",
        aria_label="Find queries",
        class_="controls",
    )
    steps = tag(
        "div",
        _button("previous", "← Previous"),
        tag("span", text(""), id="place", role="status"),
        _button("next", "Next →"),
        class_="steps-bar",
    )
    matches = tag(
        "nav",
        tag("ol", id="matches"),
        _button("more", "Show more"),
        aria_label="What was found",
        class_="matches",
    )
    panes = tag("div", matches, tag("div", id="card", class_="card-pane"), class_="panes")
    filled = tag(
        "div",
        controls,
        tag("p", text(""), id="found", role="status", class_="quiet"),
        steps,
        panes,
        _votes(),
        id="browser",
        hidden="",
    )
    return joined(tag("p", text(what_is_shown(shown, manifest)), class_="quiet"), filled, _data(shown, identity))


def browser_script() -> str:
    """Give the script that fills the browser."""
    ballot = (resources.files("negset.audit") / "ballot.js").read_text(encoding="utf-8")
    own = (resources.files("negset.publishing") / "browser.js").read_text(encoding="utf-8")
    return ballot + own


def what_is_shown(shown: Shown, manifest: SetManifest) -> str:
    """Say how much of the set the browser holds, and which part of it."""
    counts, held = manifest.counts, shown.negatives.height
    whole = held == counts.rows["negatives"] and shown.queries.height == counts.queries.total
    if whole:
        return f"All {held:,} negatives of all {shown.queries.height:,} queries are here."
    drawn = int(shown.negatives.get_column("drawn").is_not_null().sum())
    parts = [
        f"Here are {shown.queries.height:,} of {counts.queries.total:,} queries with {held:,} of "
        f"{counts.rows['negatives']:,} negatives: {drawn:,} were drawn by lot and come with all others of their query"
    ]
    if shown.all_nearer_than is not None:
        limit = math.floor(shown.all_nearer_than * 10**_DIGITS) / 10**_DIGITS  # rounded up, it would promise too much
        parts.append(
            f"every negative that scores less than {limit:.{_DIGITS}f} below its positive is here, "
            "the most suspicious ones"
        )
    parts.append("the rest is in the tables of the version")
    return f"{'; '.join(parts)}. Long texts are cut, and of many rejected candidates each rule shows its highest."


def _votes() -> Html:
    rater = tag("label", text("Who votes "), tag("input", id="rater", autocomplete="off"))
    bar = tag(
        "div",
        rater,
        _button("save", "Download votes"),
        _button("clear", "Clear votes"),
        tag("span", text(""), id="done", role="status"),
        class_="votebar",
    )
    keys = tag(
        "p",
        text("Keys while the focus is on the example or the steps: "),
        *(joined(tag("kbd", text(key)), text(f" {what}  ")) for key, what in (("j", "next"), ("k", "previous"))),
        *(joined(tag("kbd", text(word[0])), text(f" {word}  ")) for word in WORDS),
        class_="quiet keys",
    )
    about = (
        "A vote says whether the negative answers the query. Votes in the order drawn by lot make an estimate "
        "(negset audit SET --votes FILE); those on negatives that you looked for are counted beside it. Votes stay in "
        "this browser."
    )
    return joined(bar, tag("p", text(about), class_="quiet keys"), keys)


def _data(shown: Shown, identity: str) -> Html:
    documents = {doc_id: place for place, doc_id in enumerate(_documents(shown))}
    names = sorted({name for row in shown.negatives.get_column("scores").to_list() for name in _scores(row)})
    values: dict[str, object] = {
        "version": identity,
        "words": list(WORDS),
        "reasons": REASONS,
        "scores": names,
        "documents": [[doc_id, shown.texts.get(doc_id, "")] for doc_id in documents],
        "queries": list(_queries(shown, documents, names)),
    }
    return data_block("shown", values)


def _documents(shown: Shown) -> list[str]:
    frames = (shown.positives, shown.negatives, shown.rejected)
    return sorted({doc_id for frame in frames for doc_id in frame.get_column("doc_id").to_list()})


def _queries(shown: Shown, documents: dict[str, int], names: list[str]) -> Iterator[dict[str, object]]:
    """Yield each query with its rows as lists, in the order that `browser.js` names."""
    positives = _by_query(shown.positives.select("query_id", "doc_id", "relevance", "score", "source"))
    negatives = _by_query(
        shown.negatives.select(
            "query_id",
            "doc_id",
            "rank",
            "miner",
            "miner_rank",
            "score",
            "positive_score",
            "sample_prob",
            "source",
            "drawn",
            "scores",
        )
    )
    measured = ("score", "rejected_value", "rejected_threshold")
    rejected = _by_query(shown.rejected.select("query_id", "doc_id", "rejected_by", "miner", "rank", *measured))
    ends = _by_query(shown.ends.select("query_id", "rejected_by", "count"))
    columns = ("query_id", "text", "split", "fate", "reason", "wanted", "got")
    for query_id, *facts in shown.queries.select(columns).iter_rows():
        chosen = [
            [*_row(row[:-1], documents), *(_rounded(_scores(row[-1]).get(name)) for name in names)]
            for row in negatives.get(query_id, [])
        ]
        yield {
            "about": [query_id, *facts],
            "positives": [_row(row, documents) for row in positives.get(query_id, [])],
            "negatives": chosen,
            "rejected": [_row(row, documents) for row in rejected.get(query_id, [])],
            "ends": ends.get(query_id, []),
        }


def _row(row: list[object], documents: dict[str, int]) -> list[object]:
    return [documents[str(row[0])], *(_rounded(value) for value in row[1:])]


def _by_query(frame: pl.DataFrame) -> dict[str, list[list[object]]]:
    grouped: dict[str, list[list[object]]] = {}
    for query_id, *row in frame.iter_rows():
        grouped.setdefault(query_id, []).append(row)
    return grouped


def _scores(row: object) -> dict[str, float]:
    return {one["name"]: one["value"] for one in row} if isinstance(row, list) else {}


def _rounded(value: object) -> object:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _labelled(words: str, control: Html) -> Html:
    return tag("label", tag("span", text(words)), control)


def _choice(name: str, words: str, choices: list[tuple[str, str]]) -> Html:
    return _labelled(words, tag("select", *(tag("option", text(said), value=key) for key, said in choices), id=name))


def _button(name: str, words: str) -> Html:
    return tag("button", text(words), id=name, type="button")
