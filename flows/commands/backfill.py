"""`negset backfill CONFIG`: build the partitions that are missing, failed or out of date."""

import argparse

from flows.commands.status import load_whole, print_status, status_of, write_json
from flows.session import prefect_session
from negset.errors import ConfigError
from negset.periods.choosing import chosen

HOLES = 3
"""Exit code where a partition that is expected is not there in the end."""


def run(options: argparse.Namespace) -> int:
    """Backfill the partitions of `options.config`, print how they stand, and give 3 where one is a hole."""
    if options.max_parallel < 1:
        message = f"--max-parallel {options.max_parallel}: at least one partition has to be built at a time"
        raise ConfigError(message)
    config = load_whole(options)
    if options.dry_run:
        status = status_of(config, options.first, options.last)
        print_status(status)
        todo = chosen(status.partitions, options.only)
        print(f"would build {len(todo)}: {', '.join(todo)}" if todo else "would build nothing")
        write_json(status, options.json)
        return 0
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.partitions import HolesLeft, backfill

        try:
            status, code = backfill(config, options.first, options.last, options.only, options.max_parallel), 0
        except HolesLeft as error:
            print(error)
            status, code = status_of(config, options.first, options.last), HOLES
    print_status(status)
    write_json(status, options.json)
    return code
