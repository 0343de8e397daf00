"""`negset verify PATH`: check a published set against its manifest."""

import argparse
from pathlib import Path

from negset.publishing.verify import verify_set


def run(options: argparse.Namespace) -> int:
    """Check every file of the set at `options.path`; a finding is an error that names the file."""
    report = verify_set(Path(options.path))
    print(
        f"{report.folder}: version {report.id} is whole, {report.files} data files, {report.bytes / 1e6:.1f} MB checked"
    )
    return 0
