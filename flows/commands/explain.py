"""`negset explain SET QUERY DOC [--config CONFIG]`: why a document is, or is not, a negative of a query."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flows.commands.audit import make_console, print_table, write_out
from flows.session import prefect_session
from negset.configuration import load_build_config
from negset.explaining import Explanation, explain_built, explain_published
from negset.mining.pair_trace import describe_rules
from negset.publishing.reading import PublishedSet, read_set
from tasks.sets import local_set

_TEXT = 200


def run(options: argparse.Namespace) -> int:
    """Print what is known of the pair: by the version's tables or, with `options.config`, by its rooms."""
    published = read_set(local_set(options.set))
    found = (
        _ask_rooms(options, published) if options.config else explain_published(published, options.query, options.doc)
    )
    _print(found)
    if options.json:
        write_out(options.json, found.model_dump_json(indent=1) + "\n")
    return 0


def _ask_rooms(options: argparse.Namespace, published: PublishedSet) -> Explanation:
    config = load_build_config(Path(options.config), options.overrides)
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.audit import gather
        from tasks.place import Place

        refs = gather([config])
        return explain_built(config, refs, Place().open_store(), published, options.query, options.doc)


def _print(found: Explanation) -> None:
    console = make_console()
    _line(console, f"{found.dataset} {found.version}")
    _line(console, f"query    {found.query_id}  {(found.query or '(not published)')[:_TEXT]}")
    _line(console, f"document {found.doc_id}  {(found.document or '(not in this version)')[:_TEXT]}")
    console.print(f"[bold]{found.verdict}[/bold]  {escape(found.because)}", highlight=False)
    because = f" because of {found.fate_reason}" if found.fate_reason else ""
    _line(console, f"the query was {found.fate}{because}")
    if found.trace is not None:
        miners = [
            [
                one.miner,
                "" if one.rank is None else str(one.rank),
                *("" if number is None else f"{number:.6g}" for number in (one.score, one.positive_score)),
                str(one.listed),
                "" if one.last_score is None else f"{one.last_score:.6g}",
            ]
            for one in found.trace.miners
        ]
        head = ("miner", "rank", "score", "positive's score", "proposed", "score of the last")
        print_table(console, "miners", head, miners)
    elif found.facts:
        print_table(console, "the pair", ("", ""), [[name, str(value)] for name, value in found.facts.items()])
    if found.scores:
        rows = [[name, f"{value:.6g}"] for name, value in found.scores.items()]
        print_table(console, "scores", ("by", "score"), rows)
    if found.rules:
        shown = "rules" if found.trace is None or found.trace.proposed else "rules, had a miner proposed it"
        print_table(console, shown, ("", "rule", "", "value", "threshold"), describe_rules(found.rules))


def _line(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
