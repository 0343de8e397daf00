"""`negset ablate CONFIG`: compare hard, easy, random and mixed negatives of one size."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.audit import make_console, print_table
from flows.session import prefect_session
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.store import write_durably
from tasks.place import Place

if TYPE_CHECKING:
    from negset.probing.ablation import AblationReport, CompositionRow
    from schemas.config import BuildConfig

SEED = 13
HEAD = ("negatives", "nDCG@10", "sd over seeds", "below the best", "95 %", "")


def run(options: argparse.Namespace) -> int:
    """Ablate the build of `options.config`; say which composition to use, or that none is better."""
    config = load_build_config(Path(options.config), options.overrides)
    report = ablate_config(config, options.seeds, options.negatives)
    title = (
        f"adapter probe, {report.seeds} seeds, {report.queries:,} training queries, each held out in turn; "
        f"{report.budget:,} rows of each composition"
    )
    print_table(make_console(), title, HEAD, [row_cells(row) for row in report.rows])
    for line in explain(report):
        print(line)
    if options.json:
        write_durably(Path(options.json), f"{json.dumps(report.numbers(), indent=2)}\n".encode())
    return 0


def ablate_config(config: "BuildConfig", seeds: int, size: int) -> "AblationReport":
    """Mine what the recipe of `config` chooses from, compose sets of it, and probe them."""
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.tune import mine_candidates

        mined = mine_candidates([config])[0]
    from negset.probing.ablating import ablate_mined

    if mined.refs is None:
        raise ConfigError(mined.reason)

    return ablate_mined(config, mined.refs, Place().open_store(), seeds=seeds, size=size, seed=SEED, tell=_tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def row_cells(row: "CompositionRow") -> list[str]:
    """Give the cells of a composition under HEAD."""
    found = row.below_best
    if found is None:
        return [row.name, f"{row.mean:.4f}", f"{row.sd:.4f}", "best", "", ""]
    gap = found.difference
    return [
        row.name,
        f"{row.mean:.4f}",
        f"{row.sd:.4f}",
        f"{gap.mean:+.4f}",
        f"{gap.low:+.4f} to {gap.high:+.4f}",
        "real" if found.real else "",
    ]


def explain(report: "AblationReport") -> list[str]:
    """Say in words which composition to use, or that the data cannot say."""
    lines = ["Intervals resample seeds and queries; real: p < .05 after Holm's correction for all rows."]
    if report.use is not None:
        return [*lines, f"use {report.use}: it is above every other composition of the same size"]
    alike = [row.name for row in report.rows[1:] if row.below_best is not None and not row.below_best.real]
    return [*lines, f"no difference: {report.rows[0].name} came out first, but cannot be told from {', '.join(alike)}"]
