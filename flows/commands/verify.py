"""`negset verify PATH|URL`: check every byte of a published set and what its rows promise."""

import argparse
from pathlib import Path

from negset.objects.opening import is_address
from negset.publishing.reading import resolve_version
from negset.publishing.signing import check_signature
from tasks.sets import local_set, verify_at


def run(options: argparse.Namespace) -> int:
    """Check every file of the set at `options.path`; a finding is an error that names the file."""
    report = verify_at(options.path)
    if options.public_key:
        check_signature(resolve_version(local_set(options.path)), Path(options.public_key))
    place = options.path if is_address(options.path) else report.folder
    print(f"{place}: version {report.id} is whole, {report.files} data files, {report.bytes / 1e6:.1f} MB checked")
    return 0
