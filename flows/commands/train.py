"""`negset train SET`: train an encoder on a published set and measure it before and after."""

import argparse
from pathlib import Path

from flows.commands.reports import describe_training
from flows.session import prefect_session
from negset.configuration import load_train_config
from negset.publishing.reading import resolve_version
from tasks.sets import local_set


def run(options: argparse.Namespace) -> int:
    """Run the training flow on the set at `options.set` and say what came of it."""
    config = load_train_config(Path(options.config) if options.config else None, options.overrides)
    version = resolve_version(local_set(options.set))
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.train import train

        trained = train(str(version.absolute()), config)
    print(describe_training(Path(trained.path)))
    return 0
