"""`negset plan CONFIG`: what a build would run, what is cached, how much memory it needs."""

import argparse
from pathlib import Path

from flows.runners.machine import with_task_memory
from negset.configuration import load_build_config
from negset.mining.budget import Budget
from negset.planning import plan_build, plan_disk, plan_memory
from schemas.runner import CLUSTERS
from tasks.place import Place
from tasks.sets import bring_set


def run(options: argparse.Namespace) -> int:
    """Print the plan of the build of `options.config`; nothing runs."""
    config, store = load_build_config(Path(options.config), options.overrides), Place().open_store()
    config = with_task_memory(config, Place().cluster if config.runner.kind in CLUSTERS else "")
    bring_set(Place(), config.set_name)
    for room in plan_build(config, store, Place().sets_folder()):
        print(f"{room.name:<15} {room.state:<8} {room.detail}".rstrip())
        for reason in room.reasons:
            print(f"{'':<24} {reason}")
    print(f"{'memory':<15} {_memory_line(plan_memory(config, store))}")
    disk = plan_disk(config, store)
    if disk is not None:
        print(f"{'disk':<15} about {disk / 1e6:,.0f} MB for cells and vectors")
    return 0


def _memory_line(budget: Budget | None) -> str:
    if budget is None:
        return "known once the source is read"
    kept = "kept loaded" if budget.kept_whole else "read a chunk at a time"
    return (
        f"mining peaks at {budget.peak / 1e9:.2f} GB of {budget.total / 1e9:.2f} GB: "
        f"blocks of {budget.block:,} queries, a partition's vectors {kept}"
    )
