"""`negset diff OLD NEW`: what differs between two versions of a set, and whether a reader can take the new one."""

import argparse

from rich.markup import escape

from flows.commands.audit import make_console, print_table, write_out
from negset.publishing.diff import SetDiff, diff_sets
from negset.publishing.reading import read_set
from tasks.sets import local_set


def run(options: argparse.Namespace) -> int:
    """Compare the versions at `options.old` and `options.new` and print what differs."""
    found = diff_sets(read_set(local_set(options.old)), read_set(local_set(options.new)))
    _print(found)
    if options.json:
        write_out(options.json, found.model_dump_json(indent=1) + "\n")
    return 0


def _print(found: SetDiff) -> None:
    console = make_console()
    console.print(f"{escape(found.dataset)}  {found.old} -> {found.new}", highlight=False)
    console.print(f"[bold]{found.verdict}[/bold]  {escape(found.because)}", highlight=False)
    rows = [
        [one.table, *(f"{count:,}" for count in (one.before, one.after, one.added, one.removed, one.changed)),
         ", ".join(one.changed_columns)]
        for one in found.tables
    ]  # fmt: skip
    print_table(console, "rows", ("table", "before", "after", "added", "removed", "changed", "in columns"), rows)
    if found.schema_changes:
        changes = [[one.table, one.column, one.change, one.before, one.after] for one in found.schema_changes]
        title = f"schema {found.schema_before} -> {found.schema_after}"
        print_table(console, title, ("table", "column", "change", "before", "after"), changes)
    churn = found.churn
    console.print(
        f"negatives: {churn.changed:,} of {churn.queries:,} queries of both versions have others; "
        f"{churn.mean:.1%} of a query's negatives are new on average",
        highlight=False,
    )
    if churn.most:
        most = [[one.query_id, str(one.added), str(one.removed), str(one.kept)] for one in churn.most]
        print_table(console, "changed most", ("query", "added", "removed", "kept"), most)
    moved = [one for one in found.figures if one.before != one.after]
    if moved:
        print_table(
            console,
            "figures",
            ("figure", "before", "after"),
            [[one.name, _number(one.before), _number(one.after)] for one in moved],
        )
    if found.settings:
        settings = [[one.name, one.before, one.after] for one in found.settings]
        print_table(console, "settings", ("setting", "before", "after"), settings)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == round(value) else f"{value:.4f}"
