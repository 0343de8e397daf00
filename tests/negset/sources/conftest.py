"""A folder of source files written in one line."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Files = Callable[[Mapping[str, str | bytes]], str]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give a function that writes files by name and gives their folder."""

    def write(contents: Mapping[str, str | bytes]) -> str:
        for name, content in contents.items():
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(tmp_path / "source")

    return write
