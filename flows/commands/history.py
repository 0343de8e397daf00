"""`negset history SET`: the versions of a set, oldest first, with their tags."""

import argparse

from flows.commands.audit import make_console, print_table, write_out
from tasks.sets import read_line


def run(options: argparse.Namespace) -> int:
    """Print every move of LATEST of the set at `options.set`."""
    line = read_line(options.set)
    rows = [
        [
            str(step.n),
            step.id,
            step.parent or "",
            step.published_at,
            step.by,
            ", ".join(step.tags),
            "latest" if step.latest else "" if step.there else "files are gone",
        ]
        for step in line.steps
    ]
    head = ("", "version", "came after", "published", "by", "tags", "")
    print_table(make_console(), f"versions of {line.dataset}", head, rows)
    if options.json:
        write_out(options.json, line.model_dump_json(indent=1) + "\n")
    return 0
