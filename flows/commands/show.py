"""`negset show SET [--query ID]`: look at a set, or at one of its queries with all that was decided about it."""

import argparse
import sys

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from flows.commands.reports import describe_set
from negset.errors import ConfigError, hint
from negset.publishing.assembly import SELECTED
from negset.publishing.gate_table import about_check
from negset.publishing.publish import REPORT, VALIDATION
from negset.publishing.reading import PublishedSet, read_set
from negset.text import document_text
from schemas.expectations import GateReport
from tasks.sets import local_set

_TEXT_WIDTH = 96
"""Characters of a text in a table: enough to judge it by, short enough for a screen."""


def run(options: argparse.Namespace) -> int:
    """Print the set at `options.set`: its counts and recipe, or the query `options.query`."""
    published = read_set(local_set(options.set))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    if options.query is None:
        _show_set(published, console)
    else:
        _show_query(published, options.query, console)
    return 0


def _show_set(published: PublishedSet, console: Console) -> None:
    manifest = published.manifest
    console.print(escape(describe_set(published.folder)), highlight=False)
    table = Table("candidates", "count", title=f"recipe {manifest.recipe.name}", title_justify="left")
    funnel = manifest.counts.candidates
    rejected = [(f"rejected by {rule}", count) for rule, count in funnel.rejected.items()]
    ends = [
        ("known positives", funnel.positives),
        *rejected,
        ("not sampled", funnel.not_sampled),
        ("chosen", funnel.chosen),
    ]
    for name, count in ends:
        table.add_row(name, f"{count:,}")
    console.print(table)
    _show_gates(published, console)
    first = published.table("queries").head(3)["query_id"].to_list()
    console.print(f"look at one: negset show {published.folder} --query {first[0]}", highlight=False, soft_wrap=True)


def _show_gates(published: PublishedSet, console: Console) -> None:
    """Print what the gates measured or found; those that only count rows are told as a number."""
    report = GateReport.model_validate_json((published.folder / VALIDATION / REPORT).read_bytes())
    said = [check for check in report.everything if check.scope or not check.passed]
    table = Table("", "gate", "looked at", "found", "advice", title="gates", title_justify="left")
    for check in said:
        mark = "ok" if check.passed else "warns"
        found = f"{check.unexpected:,}" if check.unexpected else ""
        table.add_row(mark, check.name, escape(about_check(check)), found, escape(check.advice))
    console.print(table)
    console.print(f"and {len(report.everything) - len(said)} checks of rows passed", highlight=False)


def _show_query(published: PublishedSet, query_id: str, console: Console) -> None:
    fates = published.table("fates").filter(pl.col("query_id") == query_id)
    if not fates.height:
        known = published.table("fates")["query_id"].to_list()
        message = f"query {query_id!r} is not in {published.folder}{hint(query_id, known)}"
        raise ConfigError(message)
    fate = fates.row(0, named=True)
    because = f" because of {fate['reason']}" if fate["reason"] else ""
    text = published.table("queries").filter(pl.col("query_id") == query_id)["text"].to_list()
    console.print(f"[bold]{escape(query_id)}[/bold]  {escape(text[0] if text else '(not published)')}")
    console.print(
        f"{fate['fate']}{because}: {fate['got']} of {fate['wanted']} negatives from {fate['candidates']} candidates"
    )
    texts = _texts(published)
    console.print(_positives(published, query_id, texts))
    console.print(_negatives(published, query_id, texts))
    if SELECTED[2] in published.manifest.counts.rows:
        console.print(_rejected(published, query_id, texts))


def _texts(published: PublishedSet) -> dict[str, str]:
    rows = published.table("documents").iter_rows(named=True)
    return {row["doc_id"]: " ".join(document_text(row["title"], row["text"]).split())[:_TEXT_WIDTH] for row in rows}


def _positives(published: PublishedSet, query_id: str, texts: dict[str, str]) -> Table:
    table = Table("document", "relevance", "score", _text_column(), title="positives", title_justify="left")
    for row in published.table("positives").filter(pl.col("query_id") == query_id).iter_rows(named=True):
        table.add_row(escape(row["doc_id"]), str(row["relevance"]), _number(row["score"]), escape(texts[row["doc_id"]]))
    return table


def _negatives(published: PublishedSet, query_id: str, texts: dict[str, str]) -> Table:
    table = Table(
        "rank", "document", "score", "miner", "its rank", _text_column(), title="negatives", title_justify="left"
    )
    for row in published.table("negatives").filter(pl.col("query_id") == query_id).sort("rank").iter_rows(named=True):
        table.add_row(
            str(row["rank"]),
            escape(row["doc_id"]),
            _number(row["score"]),
            row["miner"],
            str(row["miner_rank"]),
            escape(texts[row["doc_id"]]),
        )
    return table


def _rejected(published: PublishedSet, query_id: str, texts: dict[str, str]) -> Table:
    table = Table(
        "document",
        "score",
        Column("rejected by", no_wrap=True),
        "value",
        "threshold",
        _text_column(),
        title="rejected",
        title_justify="left",
    )
    mine = published.table("candidates").filter((pl.col("query_id") == query_id) & pl.col("rejected_by").is_not_null())
    for row in mine.sort("score", descending=True, nulls_last=True).head(15).iter_rows(named=True):
        table.add_row(
            escape(row["doc_id"]),
            _number(row["score"]),
            row["rejected_by"],
            _number(row["rejected_value"]),
            _number(row["rejected_threshold"]),
            escape(texts.get(row["doc_id"], "")),
        )
    return table


def _text_column() -> Column:
    # A column holds the cells of its table: each table needs one of its own.
    return Column("text", no_wrap=True, overflow="ellipsis")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
