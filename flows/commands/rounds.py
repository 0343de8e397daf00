"""`negset rounds CONFIG`: mine, train, and mine again with what was trained, as long as that helps."""

import argparse
from pathlib import Path

from flows.session import prefect_session
from negset.building import bind
from negset.configuration import load_build_config, load_rounds_config

WORSE = 3
"""Exit code of a loop that stopped because a round made things worse beyond noise."""


def run(options: argparse.Namespace) -> int:
    """Run the rounds of `options` and print the table; 3 where a round made things worse and ended them."""
    asked = {"rounds.rounds": options.rounds, "rounds.strategy": options.strategy}
    changes = [f"{name}={value}" for name, value in asked.items() if value is not None]
    train, rounds, rest = load_rounds_config(
        Path(options.train) if options.train else None, options.overrides + changes
    )
    config = load_build_config(Path(options.config), rest)
    with prefect_session():
        bind(config)
        # Prefect is imported while its server starts.
        from flows.rounds import rounds as run_rounds
        from negset.rounds.report import read_rounds, rounds_table

        folder = Path(run_rounds(config, train, rounds))
    report = read_rounds(folder)
    print(rounds_table(report))
    print(f"model       {folder / report.model}\nfigures     {folder / 'rounds.json'}")
    return WORSE if report.status == "stopped" else 0
