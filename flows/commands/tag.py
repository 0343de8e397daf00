"""`negset tag SET VERSION NAME`: give a version a name, that commands take and that keeps it from being removed."""

import argparse

from negset.errors import ConfigError
from tasks.sets import tag_version, untag_version


def run(options: argparse.Namespace) -> int:
    """Set, move or take away the tag `options.name` of the set at `options.set`."""
    if options.delete and options.move:
        message = "--delete takes the tag away and --move sets it: give one of them"
        raise ConfigError(message)
    if options.delete:
        print(f"{options.name} no longer names {untag_version(options.set, options.version, options.name)}")
    else:
        identity = tag_version(options.set, options.version, options.name, move=options.move)
        print(f"{options.name} names {identity}; use it as {options.set}@{options.name}")
    return 0
