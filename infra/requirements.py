"""Print what negset needs, with the extras that are named, a line each: for an image's layer that changes seldom.

python infra/requirements.py s3
"""

import sys
import tomllib
from pathlib import Path


def requirements(project: Path, extras: list[str]) -> list[str]:
    """List the requirements in the pyproject.toml at `project` and those of `extras`."""
    said = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    found = list(said["dependencies"])
    for extra in extras:
        found += said["optional-dependencies"][extra]
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path("pyproject.toml"), sys.argv[1:])) + "\n")
