"""`negset rollback SET [VERSION]`: point a set back to an earlier version, which is checked first."""

import argparse

from tasks.sets import roll_back


def run(options: argparse.Namespace) -> int:
    """Move LATEST of the set at `options.set`; no version is changed or removed."""
    left, taken = roll_back(options.set, options.version)
    if left == taken:
        print(f"{options.set}: {taken} is the latest already; nothing was changed")
    else:
        print(f"{options.set}: back from {left} to {taken}; the next build of the set moves it on again")
    return 0
