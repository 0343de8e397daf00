"""`negset audit`: how many negatives are false, by hidden positives of a config or by votes on a published set."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.session import prefect_session
from negset.audit import opening, page
from negset.audit.report import AuditOptions, AuditReport, run_audit
from negset.audit.sampling import ask_questions, draw_sample, sample_counts
from negset.audit.vote_page import render_votes
from negset.audit.votes import read_votes, write_questions
from negset.audit.voting import VoteReport, judge_set
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.publishing.reading import PublishedSet, read_set
from negset.store import write_durably
from schemas.config import BuildConfig
from tasks.sets import local_set


def run(options: argparse.Namespace) -> int:
    """Audit the config at `options.target`, draw a sample of the set there, or read votes on it."""
    target = Path(options.target)
    if options.sample is None and not options.votes:
        return _hide(options, load_build_config(target, options.overrides))
    if options.sample is not None and options.votes:
        message = "--sample draws questions and --votes reads answers: give one of them"
        raise ConfigError(message)
    published = read_set(local_set(options.target))
    return _draw(options, published) if options.sample is not None else _judge(options, published)


def _hide(options: argparse.Namespace, config: BuildConfig) -> int:
    configs = opening.recipe_configs(config, [name for name in options.recipes.split(",") if name])
    wanted = AuditOptions(hide=options.hide, seed=options.seed, repeats=options.repeats, unlabelled=options.unlabelled)
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.audit import gather
        from tasks.place import Place
        from tasks.progress import shown_progress

        refs, store = gather(configs), Place().open_store()
        with shown_progress("audit") as progress:
            report = run_audit(
                opening.open_build_evidence(config, refs, store),
                opening.bind_all(configs),
                wanted,
                config.name,
                opening.teacher_notes(refs),
                progress,
            )
    _print_audit(report, strata=options.strata)
    if options.json:
        write_out(options.json, report.model_dump_json(indent=2) + "\n")
    if options.html:
        write_out(options.html, page.render_audit(report, Path(config.recipe.name).stem))
    return 0


def _print_audit(report: AuditReport, *, strata: bool) -> None:
    console = make_console()
    for line in page.audit_summary(report):
        console.print(escape(line), highlight=False)
    print_table(console, f"audit of {report.dataset}", page.AUDIT_HEAD, [page.audit_row(one) for one in report.recipes])
    for recipe in report.recipes if strata else ():
        rows = [page.stratum_row(one) for one in recipe.strata]
        print_table(console, recipe.recipe, page.STRATUM_HEAD, rows)


def _draw(options: argparse.Namespace, published: PublishedSet) -> int:
    if not options.out:
        message = "--sample needs --out FILE for the questions"
        raise ConfigError(message)
    sample = draw_sample(published.table("negatives"), options.sample, options.seed)
    questions, version = ask_questions(published, sample), published.folder.name
    write_out(options.out, write_questions(questions, version))
    if options.html:
        write_out(options.html, render_votes(questions, published.manifest.dataset, version))
    rows = [[stratum, f"{count:,}"] for stratum, count in sample_counts(sample).items()]
    print_table(make_console(), f"{len(questions)} negatives of {version} to judge", ("stratum", "drawn"), rows)
    return 0


def _judge(options: argparse.Namespace, published: PublishedSet) -> int:
    negatives, version = published.table("negatives"), published.folder.name
    votes = read_votes([Path(path) for path in options.votes], version, negatives)
    report = judge_set(votes, negatives, published.manifest.dataset, version)
    _print_votes(report)
    if options.json:
        write_out(options.json, report.model_dump_json(indent=2) + "\n")
    return 0


def _print_votes(report: VoteReport) -> None:
    console = make_console()
    found, agreed = report.false_share, report.agreement
    votes = ", ".join(f"{count:,} {word}" for word, count in report.votes.items())
    console.print(
        f"{report.pairs:,} of {report.negatives:,} negatives judged ({votes}); "
        f"false: {found.share:.2%}, 95 % interval {found.low:.2%} to {found.high:.2%}",
        highlight=False,
    )
    console.print(
        f"if unsure meant no {report.false_share_low:.2%}, if it meant yes {report.false_share_high:.2%}; "
        f"{report.clear:,} pairs clear, {report.ambiguous:,} ambiguous (clear: five votes, four in five agree)",
        highlight=False,
    )
    if agreed.same is not None:
        alpha = "undefined, all votes are equal" if agreed.alpha is None else f"{agreed.alpha:.3f}"
        console.print(
            f"{agreed.raters} raters agree on {agreed.same:.1%} of the votes that they share over "
            f"{agreed.pairs_with_several:,} pairs; Krippendorff's alpha {alpha}",
            highlight=False,
        )
    if report.picked:
        counted = ", ".join(f"{count:,} {word}" for word, count in report.picked.items())
        console.print(f"left out: votes on negatives that raters picked ({counted})", highlight=False)
    if report.covered < 1:
        console.print(f"strata without a vote are left out: {1 - report.covered:.1%} of the negatives", highlight=False)
    rows = [
        [
            one.stratum,
            f"{one.negatives:,}",
            f"{one.pairs:,}",
            *(
                ("no vote", "")
                if one.false_share is None
                else (f"{one.false_share.share:.2%}", f"{one.false_share.low:.2%} to {one.false_share.high:.2%}")
            ),
        ]
        for one in report.strata
    ]
    head = ("stratum", "negatives", "judged", "false", "95 % interval")
    print_table(console, f"votes on {report.dataset} {report.version}", head, rows)


def make_console() -> Console:
    """Give a console that is wide enough for a table where nobody's terminal limits it."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 170)


def print_table(console: Console, title: str, head: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print `rows` under `head`; cells are shown as they are."""
    table = Table(*head, title=escape(title), title_justify="left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def write_out(path: str, content: str) -> None:
    """Write `content` to the file at `path`, in a folder that is made where it lacks."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_durably(target, content.encode())
    print(f"wrote {target}")
