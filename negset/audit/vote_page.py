"""A page to vote on: one file that loads nothing, with a button for each vote and one to save them as CSV."""

from collections.abc import Sequence
from importlib import resources

from negset.audit.sampling import Question
from negset.audit.votes import WORDS
from negset.publishing.html import Html, document, joined, tag, text


def render_votes(questions: Sequence[Question], dataset: str, version: str) -> str:
    """Write the page that asks `questions` about a `version`. Texts are shown as they are, never run."""
    bar = tag(
        "div",
        tag("label", text("Who votes: "), tag("input", id="rater", autocomplete="off")),
        text(" "),
        tag("button", text("Save votes"), id="save", type="button"),
        text(" "),
        tag("span", text(""), id="done"),
        class_="votebar",
    )
    body = joined(
        tag("h1", text(f"{dataset}: are these negatives negative?")),
        tag(
            "p",
            text(
                "For each query, the red document is used as a wrong answer. Vote yes if it answers the query (then it "
                "is a false negative), no if it does not, unsure if you cannot tell. The green one is a known answer."
            ),
        ),
        bar,
        tag("h2", text("Negatives to judge"), class_="unseen"),
        *(_card(number, one) for number, one in enumerate(questions, start=1)),
    )
    shared = (resources.files("negset.publishing") / "page.css").read_text(encoding="utf-8")
    own, *scripts = (
        (resources.files("negset.audit") / name).read_text("utf-8") for name in ("audit.css", "ballot.js", "votes.js")
    )
    page = tag("main", body, data_version=version)
    return document(f"{dataset} · votes on {version}", shared + own, page, "".join(scripts))


def _card(number: int, one: Question) -> Html:
    buttons = [tag("button", text(word), type="button", value=word, aria_pressed="false") for word in WORDS]
    return tag(
        "article",
        tag("header", tag("h3", text(f"{number}. {one.query}")), tag("code", text(one.query_id))),
        _passage("+", "positive", one.positive, one.positive_id),
        _passage("?", "negative", one.negative, one.doc_id),
        tag("div", text("Does the red document answer the query? "), *buttons, class_="votes"),
        data_query=one.query_id,
        data_doc=one.doc_id,
    )


def _passage(mark: str, kind: str, words: str, name: str) -> Html:
    return tag(
        "div",
        tag("div", tag("b", text(mark))),
        tag("div", tag("p", text(words)), tag("small", tag("code", text(name)))),
        class_=f"passage {kind}",
    )
