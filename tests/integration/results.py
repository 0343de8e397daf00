"""What was published, in a form that tests compare."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any


def published(home: Path, name: str) -> dict[str, str]:
    """Give the version of each partition of `name` that has one."""
    return {path.parent.name: path.read_text().split()[0] for path in sorted((home / "sets" / name).glob("*/LATEST"))}


def data_digests(home: Path, name: str) -> dict[str, str]:
    """Give the digest of every file of rows of the latest version of each partition of `name`."""
    digests = {}
    for key, version in published(home, name).items():
        folder = home / "sets" / name / key / "versions" / version / "data"
        for path in sorted(folder.rglob("*.parquet")):
            digests[f"{key}/{path.relative_to(folder)}"] = sha256(path.read_bytes()).hexdigest()
    return digests


def attempts(home: Path, name: str, key: str) -> list[dict[str, Any]]:
    """Give the attempts at a partition, as they were recorded."""
    lines = (home / "sets" / name / key / "attempts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
