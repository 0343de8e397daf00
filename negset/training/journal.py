"""Records of a run, written as it goes: a file of rows of one shape, which a resumed run cuts back to its start."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from negset.errors import ArtifactError
from negset.store import flush, storage_fault

Records = NDArray[np.void]


class Journal:
    """A file of rows of `shape`, to which rows are added at the end."""

    def __init__(self, path: Path, shape: np.dtype[Any]) -> None:
        self.path = path
        self.shape = shape

    def rows(self) -> int:
        """Count the whole rows that are there."""
        return self.path.stat().st_size // self.shape.itemsize if self.path.exists() else 0

    def add(self, records: Records) -> None:
        """Add `records` at the end."""
        try:
            with self.path.open("ab") as file:
                file.write(records.astype(self.shape).tobytes())
        except OSError as error:
            raise storage_fault(error, self.path) from error

    def require(self, rows: int) -> None:
        """Raise ArtifactError where fewer than `rows` are there."""
        if self.rows() < rows:
            message = f"{self.path} has {self.rows()} rows where {rows} were written"
            raise ArtifactError(message)

    def cut(self, rows: int) -> None:
        """Keep the first `rows` alone; raise ArtifactError where fewer are there."""
        self.require(rows)
        with self.path.open("ab") as file:
            file.truncate(rows * self.shape.itemsize)

    def sync(self) -> None:
        """Force what was added to disk."""
        if self.path.exists():
            flush(self.path)

    def read(self) -> Records:
        """Give all rows in the order in which they were added."""
        if not self.path.exists():
            return np.empty(0, dtype=self.shape)
        return np.fromfile(self.path, dtype=self.shape, count=self.rows())
