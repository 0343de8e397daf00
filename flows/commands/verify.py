"""`negset verify PATH`: check a published set against its manifest."""

import argparse

from negset.objects.opening import is_address
from tasks.sets import verify_at


def run(options: argparse.Namespace) -> int:
    """Check every file of the set at `options.path`; a finding is an error that names the file."""
    report = verify_at(options.path)
    place = options.path if is_address(options.path) else report.folder
    print(f"{place}: version {report.id} is whole, {report.files} data files, {report.bytes / 1e6:.1f} MB checked")
    return 0
