"""`negset build CONFIG`: build, check and publish a negative set."""

import argparse
from pathlib import Path

from flows.commands.reports import describe_set
from flows.session import prefect_session
from negset.building import bind
from negset.configuration import load_build_config
from negset.publishing.reading import VERSIONS


def run(options: argparse.Namespace) -> int:
    """Run the build flow for `options.config` and say what was published."""
    config = load_build_config(Path(options.config), options.overrides)
    with prefect_session():
        bind(config)
        # Prefect is imported while its server starts.
        from flows.build import build
        from flows.partitions import build_partition
        from tasks.place import Place

        if config.partition:
            version = build_partition(config, config.partition, force=True)
            folder = Place().sets_folder() / config.set_name / VERSIONS / version
        else:
            folder = Path(build(config).path)
    print(describe_set(folder))
    return 0
