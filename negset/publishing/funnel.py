"""The funnels on the page: what became of the candidates, in all and by miner, and of the queries."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from negset.publishing.charts import bar
from negset.publishing.html import Html, joined, tag, text
from negset.publishing.tables import table
from schemas.manifest import CandidateFunnel, QueryFunnel, RecipeIdentity

ENDS: Final = ("known positives", "rejected", "survived, not sampled", "chosen")


def candidate_bars(funnel: CandidateFunnel, recipe: RecipeIdentity) -> Html:
    """Draw where the candidates ended, the rules in the order of the `recipe`, with what each left."""
    order = {step.rule: place for place, step in enumerate(recipe.rules)}
    rules = sorted(funnel.rejected.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    steps = [
        ("known positives", funnel.positives, "positive"),
        *((f"rejected by {rule}", count, "rejected") for rule, count in rules),
        ("survived, not sampled", funnel.not_sampled, "total"),
        ("chosen", funnel.chosen, "negative"),
    ]
    return _bars("Candidates, from mined to chosen", "candidates", steps, funnel.mined, "mined")


def query_bars(funnel: QueryFunnel) -> Html:
    """Draw where the queries ended."""
    steps = [
        ("kept", funnel.kept, "positive"),
        ("short", funnel.short, "negative"),
        *((f"dropped: {why}", count, "total") for why, count in sorted(funnel.dropped.items(), key=_largest)),
    ]
    return _bars("Queries, from read to kept", "queries", steps, funnel.total, "queries read")


def miner_table(candidates: pl.LazyFrame) -> Html:
    """Count for each miner where its candidates ended; one that another proposed first counts there."""
    rows = [[miner, *(f"{count:,}" for count in counts)] for miner, *counts in miner_ends(candidates).iter_rows()]
    return table("Candidates by miner", ("miner", "mined", *ENDS), rows)


def miner_ends(candidates: pl.LazyFrame) -> pl.DataFrame:
    """Give miner, mined and the counts of `ENDS`, which add up to mined; sorted by miner."""
    positive, rejected = pl.col("is_positive"), pl.col("rejected_by").is_not_null()
    taken = pl.col("position").is_not_null()
    ends = (positive, ~positive & rejected, ~positive & ~rejected & ~taken, ~positive & ~rejected & taken)
    counts = [end.sum().cast(pl.Int64).alias(name) for name, end in zip(ENDS, ends, strict=True)]
    found = candidates.group_by("miner").agg(pl.len().cast(pl.Int64).alias("mined"), *counts)
    return found.with_columns(pl.col("miner").cast(pl.String)).sort("miner").collect(engine="streaming")


def fate_table(fates: pl.DataFrame) -> Html:
    """Count the queries of each split by fate and reason, and the negatives they wanted and got."""
    counted = fates.group_by("split", "fate", pl.col("reason").fill_null("")).agg(
        pl.len(), pl.col("wanted").sum(), pl.col("got").sum()
    )
    rows = [
        [split, fate, reason, *(f"{count:,}" for count in counts)]
        for split, fate, reason, *counts in counted.sort("split", "fate", "reason").iter_rows()
    ]
    head = ("split", "fate", "reason", "queries", "negatives wanted", "got")
    return table("Queries by split, fate and reason", head, rows, words=3)


def _largest(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _bars(title: str, what: str, steps: Sequence[tuple[str, int, str]], total: int, label: str) -> Html:
    """Draw `steps` that add up to `total` as a table with a bar in each row, and how much is left after it."""
    rows, left = [_bar_row(label, total, total, total, "total")], total
    for name, count, kind in steps:
        left -= count
        rows.append(_bar_row(name, count, total, left, kind))
    head = [
        tag("th", text(name), scope="col", class_=kind)
        for name, kind in ((what, "number"), ("share", "number"), ("left", "number left"))
    ]
    drawn = tag("td", class_="wide", aria_hidden="true")
    titles = tag("thead", tag("tr", tag("th", text("end"), scope="col"), *head, drawn))
    caption = tag("caption", text(title), class_="unseen")
    whole = tag("table", caption, titles, tag("tbody", *rows), class_="bars-table")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=title)


def _bar_row(name: str, count: int, total: int, left: int, kind: str) -> Html:
    share = count / total if total else 0.0
    return tag(
        "tr",
        tag("th", text(name), scope="row"),
        tag("td", text(f"{count:,}"), class_="number"),
        tag("td", text(f"{share:.1%}"), class_="number quiet"),
        tag("td", text(f"{left:,}") if left else joined(), class_="number quiet left"),
        tag("td", bar(share, kind), class_="wide"),
    )
