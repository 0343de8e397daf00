"""`negset transfer SET [SET ...]`: what training on one domain or set does to another, before the long run."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.audit import make_console, print_table
from negset.errors import ConfigError
from negset.store import write_durably
from tasks.place import Place
from tasks.sets import local_set

if TYPE_CHECKING:
    from negset.transfer.matrix import Transfer
    from negset.transfer.order import BucketGroup, Order
    from negset.transfer.report import TransferReport

SEED = 13
LISTED = 10
"""Groups that were left out, named one by one; more of them are counted."""


def run(options: argparse.Namespace) -> int:
    """Compare the sets at `options.sets`, or group their training queries in an order; say and write what is found."""
    if options.seeds < 2:
        message = f"--seeds is {options.seeds}: 2 or more are needed to tell transfer from luck"
        raise ConfigError(message)
    if options.groups < 1:
        message = f"--groups is {options.groups}: give 1 or more"
        raise ConfigError(message)
    # torch takes seconds to import: --help does without.
    from negset.transfer.opening import open_members
    from negset.transfer.report import report_order, report_transfer

    members = open_members([local_set(path) for path in options.sets], Place().open_store())
    if options.order:
        found = report_order(members, options.order, options.target, options.groups, SEED)
        _show_order(found, options.order)
        numbers: dict[str, object] = {"order": options.order, "groups": [vars(group) for group in found]}
    else:
        seeds = range(SEED, SEED + options.seeds)
        report = report_transfer(members, field=options.by, target=options.target, seeds=seeds, tell=_tell)
        _show(report)
        numbers = report.numbers()
    if options.json:
        write_durably(Path(options.json), f"{json.dumps(numbers, indent=2)}\n".encode())
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _show(report: "TransferReport") -> None:
    console = make_console()
    matrix, names = report.matrix, [group.name for group in report.groups]
    sizes = [
        [
            one.name,
            f"{one.trained:,}",
            f"{one.negatives:,}",
            f"{one.words:,}",
            f"{one.share:.1%}",
            f"{one.held_out:,}",
            f"{matrix.alone[one.name]:.4f}",
            ", ".join(report.nearest(one.name)),
        ]
        for one in report.groups
    ]
    head = ("group", "trained on", "negatives", "words of queries", "share", "held out", "nDCG@10 alone", "nearest")
    print_table(console, f"groups, split {report.target!r} held out", head, sizes)
    cells = {(cell.source, cell.target): cell for cell in matrix.cells}
    rows = []
    for source in names:
        row = [f"+ {source}"]
        row += [transfer_cell(cells[source, target]) if source != target else "" for target in names]
        rows.append([*row, f"{matrix.effects[source]:+.4f}"])
    title = f"transfer: change in nDCG@10 of a column when a row is added, {report.steps} steps, {report.seeds} seeds"
    print_table(console, title, ("", *names, "mean effect"), rows)
    pairs = [
        [one.source, one.target, f"{one.cosine:+.3f}", f"{one.conflict:.0%}", f"{one.distance:.2f}"]
        for one in report.signs
    ]
    print_table(
        console,
        "before training: gradients of the two groups, and how far their queries are apart (0 alike, 2 apart)",
        ("training queries of", "held-out queries of", "mean cosine", "conflicts", "distance"),
        pairs,
    )
    for line in explain(report):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def transfer_cell(cell: "Transfer") -> str:
    """Give sign, change and interval of a cell of the matrix."""
    found = cell.change.difference
    star = "*" if cell.change.real else ""
    return f"{cell.sign} {found.mean:+.4f}{star} ({found.low:+.3f} to {found.high:+.3f})"


def explain(report: "TransferReport") -> list[str]:
    """Say in words what holds and what does not."""
    harm = [cell for cell in report.matrix.cells if cell.sign == "-" and cell.change.real]
    help_ = [cell for cell in report.matrix.cells if cell.sign == "+" and cell.change.real]
    left_out = sorted(report.left_out)
    lines = [
        "+ or - where the 95 % interval over seeds and queries excludes 0; * p < .05 after Holm's correction for all",
        *(f"{cell.source} harms {cell.target}" for cell in harm),
        *(f"{cell.source} helps {cell.target}" for cell in help_),
        *(f"left out: {name}: {report.left_out[name]}" for name in left_out[:LISTED]),
        *([f"left out: {len(left_out) - LISTED} more groups"] if len(left_out) > LISTED else []),
    ]
    if not harm and not help_:
        lines.append("no transfer between these groups can be told from 0")
    return lines


def _show_order(groups: "list[BucketGroup]", order: "Order") -> None:
    rows = [
        [
            f"{group.buckets[0] + 1} to {group.buckets[-1] + 1}",
            f"{group.queries:,}",
            _value(group.low, order),
            _value(group.high, order),
        ]
        for group in groups
    ]
    print(f"Training queries by {order}, in ten buckets: neighbours whose gradients agree stand together.")
    print_table(make_console(), "", ("buckets", "queries", "from", "to"), rows)


def _value(value: float, order: "Order") -> str:
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}" if order == "time" else f"{value:+.3f}"
