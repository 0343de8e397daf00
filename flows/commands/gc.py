"""`negset gc`: say what may go of versions and artifacts, or remove it."""

import argparse
from datetime import UTC, datetime

from flows.commands.audit import make_console, print_table, write_out
from negset.cleaning.collecting import Collected, Limits, collect, remove
from negset.errors import ConfigError
from negset.objects.opening import is_address
from tasks.place import Place

_SHOWN = 30


def run(options: argparse.Namespace) -> int:
    """Print what may go of the store and the sets of this machine; with `options.delete`, remove it."""
    if options.keep < 1 or min(options.days, options.grace, options.unused or 0) < 0:
        message = "--keep is at least 1, and --days, --grace and --unused are no less than 0"
        raise ConfigError(message)
    place = Place()
    for name, where in (("NEGSET_STORE", place.store), ("NEGSET_SETS", place.sets)):
        if where and is_address(where):
            message = f"{name} is {where}: gc cleans up folders; other machines may need what is in an object store"
            raise ConfigError(message)
    store, sets = place.open_store(), place.sets_folder()
    limits = Limits(keep=options.keep, days=options.days, grace_days=options.grace, unused_days=options.unused)
    if options.delete:
        found = remove(store, sets, limits, lambda: datetime.now(UTC))
    else:
        found = collect(store, sets, limits, datetime.now(UTC))
    _print(found)
    if options.json:
        write_out(options.json, found.model_dump_json(indent=1) + "\n")
    return 0


def _print(found: Collected) -> None:
    rows = [[one.kind, one.path, f"{one.bytes / 1e6:,.1f}", one.why] for one in found.removals[:_SHOWN]]
    if rows:
        title = "removed" if found.removed else "would be removed"
        print_table(make_console(), title, ("", "folder", "MB", "why"), rows)
    if len(found.removals) > _SHOWN:
        print(f"and {len(found.removals) - _SHOWN} more")
    said = "removed" if found.removed else "may go; negset gc --delete removes them"
    print(f"{len(found.removals)} folders, {found.bytes / 1e6:,.1f} MB, {said}" if rows else "nothing may go")
    if found.note:
        print(found.note)
