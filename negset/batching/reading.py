"""Open a batch plan that lies on disk: what is recorded of it, and its tables a row group at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from negset.errors import ArtifactError
from negset.store import read_json
from schemas.batches import PlanManifest

PAPER: Final = "plan.json"
"""What is recorded of a plan; written last, so that its presence means that the plan is whole."""


@dataclass(frozen=True)
class OpenedPlan:
    """A plan on disk: its folder and what is recorded of it."""

    folder: Path
    manifest: PlanManifest

    def row_groups(self, table: str, epoch: int, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Read `columns` of an epoch of `table`, a row group at a time; empty ones are left out.

        Raises ArtifactError where the file is missing or damaged.
        """
        path = self.folder / table / epoch_file(epoch)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    frame = pl.DataFrame(file.read_row_group(group, columns=columns))
                    if frame.height:
                        yield frame
        except (OSError, pa.ArrowException) as error:
            message = f"cannot read {path}: {error}. Make the plan again"
            raise ArtifactError(message) from error


def epoch_file(epoch: int) -> str:
    """Name the file of an epoch, counted from 0."""
    return f"epoch-{epoch:05}.parquet"


def open_plan(folder: Path) -> OpenedPlan:
    """Open the plan in `folder`; raise ArtifactError where there is none."""
    return OpenedPlan(folder, PlanManifest.model_validate(read_json(folder / PAPER)))
