"""`negset tune CONFIG`: choose the recipe by measurement on the training queries."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from flows.session import prefect_session
from negset.configuration import load_build_config
from negset.store import write_durably
from tasks.place import Place

if TYPE_CHECKING:
    from negset.probing.candidates import Candidate
    from negset.probing.opening import Kind
    from negset.probing.tuning import TuneReport, TuneRow
    from schemas.config import BuildConfig

SEED = 13


def run(options: argparse.Namespace) -> int:
    """Tune the build of `options.config`; say what to put into it, or put it in with `options.write`."""
    file = Path(options.config)
    config = load_build_config(file, options.overrides)
    recipes = [name.strip() for name in options.recipes.split(",") if name.strip()]
    chosen, report, left_out = tune_config(config, recipes, options.kind, options.budget)
    _show(report, left_out)
    for line in explain(report):
        print(line)
    _hand_over(chosen, file, write=options.write)
    if options.json:
        numbers = {**report.numbers(), "left_out": left_out, "recipe": chosen.config.recipe.model_dump()}
        write_durably(Path(options.json), f"{json.dumps(numbers, indent=2)}\n".encode())
    return 0


def tune_config(
    config: "BuildConfig", recipes: Sequence[str], kind: "Kind", budget: int
) -> tuple["Candidate", "TuneReport", dict[str, str]]:
    """Mine what the recipes need, select, probe; give the choice, the report, and what could not be tried and why."""
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.tune import mine_candidates
        from negset.probing.candidates import list_candidates
        from negset.probing.choosing import choose_recipe, distinct_ledgers, require_budget

        candidates = list_candidates(config, recipes)
        require_budget(candidates.tried, budget)
        ledgers = distinct_ledgers(candidates.tried)
        mined = mine_candidates([candidate.config for candidate in ledgers.values()])
    found = dict(zip(ledgers, mined, strict=True))
    refs = {key: one.refs for key, one in found.items() if one.refs is not None}
    reasons = {key: one.reason for key, one in found.items() if one.refs is None}
    store = Place().open_store()
    return choose_recipe(config, candidates, refs, reasons, store, kind=kind, budget=budget, seed=SEED, tell=_tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _show(report: "TuneReport", left_out: dict[str, str]) -> None:
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    table = Table(
        "recipe",
        *(Column(name, justify="right") for name in ("runs", "queries", "trained on", "nDCG@10", "95 %")),
        Column("below the chosen", justify="right"),
        title=f"{report.trainings} trainings, {report.queries:,} training queries, each held out in turn",
        title_justify="left",
    )
    for row in report.rows:
        table.add_row(*_cells(row), end_section=row.finalist and row is _last_finalist(report))
    console.print(table)
    console.print(
        "* holds for other queries too: paired bootstrap over queries, p < .05 after Holm's correction for all rows\n"
        "  below the line: dropped after fewer runs; measured, and compared, on the queries of these runs",
        highlight=False,
    )
    for name, reason in left_out.items():
        console.print(escape(f"not tried: {name}: {reason}"), highlight=False, soft_wrap=True)


def _last_finalist(report: "TuneReport") -> "TuneRow":
    return [row for row in report.rows if row.finalist][-1]


def _cells(row: "TuneRow") -> list[str]:
    gap = row.below_chosen
    return [
        escape(row.name),
        str(row.runs),
        f"{row.queries:,}",
        f"{row.trained:,}",
        f"{row.interval.mean:.4f}",
        f"{row.interval.low:.3f}-{row.interval.high:.3f}",
        "chosen" if gap is None else f"{gap.difference.mean:+.4f}{'*' if gap.real else ' '}",
    ]


def explain(report: "TuneReport") -> list[str]:
    """Say in words what was chosen, what it is worth, and from what it cannot be told."""
    worth, gain = report.worth, report.gain
    lines = [
        f"chosen: {report.chosen}",
        f"  worth nDCG@10 {worth.mean:.4f} ({worth.low:.4f} to {worth.high:.4f}), the luck of being chosen taken out",
        f"  untrained {report.before:.4f}; trained with random documents {report.control:.4f}",
    ]
    if gain is not None:
        lines.append(
            f"  over the recipe as configured: {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}), "
            f"{'a real gain' if gain.low > 0 else 'no gain that these queries can show'}"
        )
    if report.shared:
        lines.append(
            f"  {report.shared:,} of {report.queries:,} queries were measured by a probe that was trained on one of "
            "their positives. Where the queries to come ask for other documents, recipes that teach documents by "
            "heart look better here than they are"
        )
    alike = [row.name for row in report.rows if row.finalist and row.below_chosen and not row.below_chosen.real]
    if alike:
        lines.append(f"  these queries cannot tell it from: {', '.join(alike)}")
    return [*lines, *_why(report)]


def _why(report: "TuneReport") -> list[str]:
    """Say what kind of data the order of the plain recipes speaks of."""
    means = {row.name: row for row in report.rows}
    hardest = means.get("naive")
    if hardest is None:
        return []
    if hardest.interval.mean < report.control and hardest.finalist:
        return ["  why: the hardest candidates train worse than random documents: many of them are relevant"]
    if hardest.below_chosen is None:
        return ["  why: the hardest candidates are the best teachers here: few of them can be relevant"]
    if hardest.below_chosen.real:
        return ["  why: the plain hardest candidates are really worse: some of them are relevant, or too hard"]
    return []


def _hand_over(chosen: "Candidate", file: Path, *, write: bool) -> None:
    from negset.probing.candidates import CURRENT
    from negset.probing.config_file import chosen_lines, edit_config, written_recipe

    if chosen.name == CURRENT:
        print(f"{file} asks for this recipe already")
        return
    config = written_recipe(chosen.config, file)
    if write:
        write_durably(file, edit_config(file.read_text(encoding="utf-8"), config).encode())
        print(f"wrote the recipe into {file}")
    else:
        print(f"put into {file} (or run again with --write), where other lines of these sections stay as they are:\n")
        print(chosen_lines(config))
