"""`negset build CONFIG`: build, check and publish a negative set."""

import argparse
from pathlib import Path

from flows.commands.reports import describe_set
from flows.session import prefect_session
from negset.building import bind
from negset.configuration import load_build_config


def run(options: argparse.Namespace) -> int:
    """Run the build flow for `options.config` and say what was published."""
    config = load_build_config(Path(options.config), options.overrides)
    with prefect_session():
        bind(config)
        # Prefect is imported while its server starts.
        from flows.build import build

        published = build(config)
    print(describe_set(Path(published.path)))
    return 0
