"""One query on the page: its positive, its negatives with why each was chosen, and what was rejected by which rule."""

from negset.publishing.html import Html, joined, tag, text
from negset.publishing.sample import Example, Row
from schemas.manifest import SetManifest

_NEGATIVES, _POSITIVES, _REJECTED = 8, 3, 12
_LONG, _SHORT = 420, 220
REASONS = {
    "known_positive": "is a known positive, or has the text of one",
    "own_text": "is the query's own text",
    "positive_duplicate": "nearly repeats a positive",
    "duplicate": "nearly repeats a better negative",
    "margin": "scores too close to the positive",
    "percent_of_positive": "scores too close to the positive",
    "max_score": "scores too high",
    "rank_window": "is outside the window of ranks",
}
"""What a rule that rejected a candidate says of it."""


def example_card(example: Example, manifest: SetManifest) -> Html:
    """Give the card of `example`."""
    fate = example.fate
    reason = f" · {fate['reason']}" if fate["reason"] else ""
    state = f"{fate['fate']} · {fate['got']} of {fate['wanted']}{reason}"
    return tag(
        "article",
        tag(
            "header",
            tag("h3", text(clipped(str(example.query["text"]), _LONG))),
            _chip(state, str(fate["fate"])),
            _chip(str(example.query["split"]), "plain"),
            tag("code", text(example.query["query_id"])),
        ),
        *(_positive(row, example) for row in example.positives[:_POSITIVES]),
        _more(len(example.positives) - _POSITIVES, "more positives"),
        *(_negative(row, example, manifest) for row in example.negatives[:_NEGATIVES]),
        _more(len(example.negatives) - _NEGATIVES, "more negatives"),
        _rejected(example),
    )


def clipped(value: str, most: int) -> str:
    """Cut `value` to `most` characters, with an ellipsis where something is left out."""
    return value if len(value) <= most else f"{value[: most - 1].rstrip()}…"


def _positive(row: Row, example: Example) -> Html:
    return tag(
        "div",
        tag("div", tag("b", text("+"))),
        tag("div", _passage(row, example, _LONG), _facts(row, f"positive, relevance {row['relevance']}")),
        class_="passage positive",
    )


def _negative(row: Row, example: Example, manifest: SetManifest) -> Html:
    return tag(
        "div",
        tag("div", tag("b", text(row["rank"])), _meter(row)),
        tag("div", _passage(row, example, _LONG), _facts(row, why_chosen(row, manifest))),
        class_="passage negative",
    )


def why_chosen(row: Row, manifest: SetManifest) -> str:
    """Say in a sentence who proposed the negative `row`, how it scores, and how it was taken."""
    place = "" if row["miner_rank"] is None else f" at rank {row['miner_rank']}"
    parts = [f"{row['miner']}{place}"]
    score, positive = row["score"], row["positive_score"]
    if isinstance(score, float):
        parts.append(f"scores {score:.3f}")
        if isinstance(positive, float):
            side = "below" if score <= positive else "above"
            share = f", {score / positive:.0%} of it" if positive > 0 else ""
            parts.append(f"{abs(positive - score):.3f} {side} its positive at {positive:.3f}{share}")
    sampler = manifest.recipe.rules[-1].rule if manifest.recipe.rules else "the sampler"
    passed = max(len(manifest.recipe.rules) - 1, 0)
    chance = row["sample_prob"]
    taken = f"drawn by {sampler}, chance {chance:.3g}" if isinstance(chance, float) else f"taken by {sampler}"
    return " · ".join([*parts, f"passed {passed} rules, {taken}"])


def _meter(row: Row) -> Html:
    """Draw the score of `row` as a share of its positive's."""
    score, positive = row["score"], row["positive_score"]
    if not isinstance(score, float) or not isinstance(positive, float) or positive <= 0:
        return joined()
    share = min(max(score / positive, 0.0), 1.0)
    top, tall = f"{100 * (1 - share):.1f}%", f"{100 * share:.1f}%"
    filled = tag("rect", y=top, width="100%", height=tall, class_="bar negative")
    return tag("svg", tag("title", text(f"{share:.0%} of the positive")), filled, class_="meter", role="img")


def _rejected(example: Example) -> Html:
    """Fold away which candidates were rejected, by which rule, with value and limit."""
    if not example.rejected and not example.unsampled:
        return joined()
    rows = [_rejected_row(row, example) for row in example.rejected[:_REJECTED]]
    title = f"{len(example.rejected)} rejected, {example.unsampled} survived but were not sampled"
    table = tag("table", *rows, class_="rejections") if rows else joined()
    return tag(
        "details",
        tag("summary", text(title)),
        table,
        _more(len(example.rejected) - _REJECTED, "more rejected candidates"),
    )


def _rejected_row(row: Row, example: Example) -> Html:
    rule = str(row["rejected_by"])
    value, limit = row["rejected_value"], row["rejected_threshold"]
    named = (("value", value), ("limit", limit))
    measured = [f"{name} {number:.3f}" for name, number in named if isinstance(number, float)]
    place = f"{row['miner']} {row['rank']}" if row["rank"] is not None else str(row["miner"])
    return tag(
        "tr",
        tag("td", _chip(rule, "rejected"), tag("small", text(REASONS.get(rule, "")))),
        tag("td", *(tag("div", text(line)) for line in [*measured, place]), class_="number"),
        tag("td", _passage(row, example, _SHORT)),
    )


def _passage(row: Row, example: Example, most: int) -> Html:
    return tag("p", text(clipped(example.texts.get(str(row["doc_id"]), ""), most)))


def _facts(row: Row, sentence: str) -> Html:
    return tag("small", tag("code", text(row["doc_id"])), text(" · "), text(sentence))


def _chip(words: str, kind: str) -> Html:
    return tag("span", text(words), class_=f"chip {kind}")


def _more(count: int, what: str) -> Html:
    return tag("p", text(f"and {count} {what}"), class_="quiet") if count > 0 else joined()
