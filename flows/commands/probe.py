"""`negset probe SET [SET ...]`: rank negative sets by what a small model learns from each."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.store import write_durably
from tasks.place import Place
from tasks.sets import local_set

if TYPE_CHECKING:
    from negset.probing.bootstrap import Difference
    from negset.probing.report import ProbeReport, ProbeRow

SEED = 13


def run(options: argparse.Namespace) -> int:
    """Probe the sets at `options.sets`, print a table of them and what it means, and write it to `options.json`."""
    if options.seeds < 1:
        message = f"--seeds is {options.seeds}: at least one run is needed"
        raise ConfigError(message)
    # torch takes seconds to import: --help does without.
    from negset.probing.opening import open_probe, open_sets
    from negset.probing.report import plan_folds, probe_sets, report_sets

    store = Place().open_store()
    config = load_build_config(Path(options.config)) if options.config else None
    opened = open_sets([local_set(path) for path in options.sets], config, store)
    folds, held_out = plan_folds(opened.collection, options.held_out, options.seeds, SEED)
    probe = open_probe(options.kind, opened.snapshot, opened.collection, opened.encoder, store)
    seeds = range(SEED, SEED + options.seeds)
    measured = probe_sets(
        probe, opened.collection, opened.sets, folds, seeds, lambda name: print(f"probed {name}", file=sys.stderr)
    )
    report = report_sets(measured, opened.sets, options.kind, held_out, SEED)
    _show(report)
    if options.json:
        write_durably(Path(options.json), f"{json.dumps(report.numbers(), indent=2)}\n".encode())
    return 0


def _show(report: "ProbeReport") -> None:
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    table = Table(
        "set",
        *(Column(name, justify="right") for name in ("trained on", "nDCG@10", "95 %", "seeds ±", "MRR@10")),
        *(Column(name, justify="right") for name in ("recall@100", "below the best", "above random")),
        title=f"{report.kind} probe, {report.seeds} runs, {report.queries:,} held-out queries: {report.held_out}",
        title_justify="left",
    )
    for row in report.rows:
        table.add_row(*_cells(row))
    console.print(table)
    console.print(
        "* holds for other queries too: paired bootstrap over queries, p < .05 after Holm's correction for all rows\n"
        "  in brackets: the model before training, and after the same training with random documents as negatives",
        highlight=False,
    )
    for line in explain(report):
        console.print(escape(line), highlight=False, soft_wrap=True)


def _cells(row: "ProbeRow") -> list[str]:
    return [
        escape(row.name),
        f"{row.trained:,}" if row.trained else "",
        f"{row.measures['ndcg_at_10']:.4f}",
        f"{row.interval.low:.3f}-{row.interval.high:.3f}",
        f"{row.spread:.4f}" if row.spread == row.spread else "",
        f"{row.measures['mrr_at_10']:.4f}",
        f"{row.measures['recall_at_100']:.4f}",
        _difference(row.below_best),
        _difference(row.above_random),
    ]


def _difference(found: "Difference | None") -> str:
    return "" if found is None else f"{found.difference.mean:+.4f}{'*' if found.real else ' '}"


def explain(report: "ProbeReport") -> list[str]:
    """Say in words what the rows of `report` mean."""
    from negset.probing.report import CONTROLS

    sets = [row for row in report.rows if row.name not in CONTROLS]
    lines = [f"best: {sets[0].name}"]
    alike = [row.name for row in sets[1:] if row.below_best is not None and not row.below_best.real]
    if alike:
        lines[0] += f"; these queries cannot tell it from {', '.join(alike)}"
    worse = [row.name for row in sets if _real(row.above_random, -1)]
    if worse:
        lines.append(f"worse than random negatives: {', '.join(worse)}. False negatives among the hard ones do that")
    elif all(_real(row.above_random, 1) for row in sets):
        lines.append("every set is better than random negatives: hard ones help here")
    mistaken = [f"{row.name} ({row.mistakes:,})" for row in sets if row.mistakes]
    if mistaken:
        lines.append(f"negatives that are known positives: {', '.join(mistaken)}")
    return lines


def _real(found: "Difference | None", sign: int) -> bool:
    return found is not None and found.real and found.difference.mean * sign > 0
