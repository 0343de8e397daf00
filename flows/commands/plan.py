"""`negset plan CONFIG`: what a build would run, what is cached, how much memory it needs."""

import argparse
from pathlib import Path

from negset.configuration import load_build_config
from negset.planning import plan_build, plan_memory
from tasks.place import Place


def run(options: argparse.Namespace) -> int:
    """Print the plan of the build of `options.config`; nothing runs."""
    config, store = load_build_config(Path(options.config), options.overrides), Place().open_store()
    for room in plan_build(config, store):
        print(f"{room.name:<15} {room.state:<8} {room.detail}".rstrip())
    memory = plan_memory(config, store)
    known = (
        f"about {memory / 1e6:,.0f} MB for the largest cell" if memory is not None else "known once the source is read"
    )
    print(f"{'memory':<15} {known}, on top of about 500 MB for the libraries")
    return 0
