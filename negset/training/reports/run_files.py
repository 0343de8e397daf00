"""What a run keeps beside its model so that it can be reported at any time, without the model and without training.

Rankings are the first results of every held-out query before and after; `trained` counts what each query gave to
training; `pair_stats`, where the trainer wrote it, holds the loss of each pair in each epoch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.encoders.tokens import tokenise
from negset.errors import ArtifactError
from negset.store import read_json
from negset.tables import read_table, write_table
from negset.training.examples import Examples, Groups

METRICS: Final = "metrics.json"
HISTORY: Final = "history.jsonl"
PER_QUERY: Final = "queries.jsonl"
RANKINGS: Final = "rankings.parquet"
TRAINED: Final = "trained.parquet"
PAIR_STATS: Final = "pair_stats.parquet"
DEPTH: Final = 10
"""Results kept of each held-out query."""


@dataclass(frozen=True)
class RunRecords:
    """The files of a run in memory. `history` has a row for each step (step, epoch, loss)."""

    metrics: dict[str, object]
    history: pl.DataFrame
    per_query: pl.DataFrame
    rankings: pl.DataFrame
    trained: pl.DataFrame
    pair_stats: pl.DataFrame | None


def first_results(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Give the `DEPTH` first documents of each query in the runs `before` and `after` (query_id, doc_id, score).

    Higher scores first, ties by document id; the table `rankings`.
    """
    parts = [run.with_columns(model=pl.lit(name)) for name, run in (("before", before), ("after", after))]
    ordered = pl.concat(parts).sort(["query_id", "model", "score", "doc_id"], descending=[False, False, True, False])
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id", "model")
    return ordered.with_columns(rank=place).filter(pl.col("rank") <= DEPTH)


def count_trained(examples: Examples) -> pl.DataFrame:
    """Count positives, negatives, and words of the query and all of these, for each query; the table `trained`."""
    document_words = _words(examples.document_texts)

    def words_of(groups: Groups) -> np.ndarray:
        places = np.repeat(np.arange(len(examples.query_ids)), groups.sizes())
        return np.bincount(places, document_words[groups.rows], minlength=len(examples.query_ids)).astype(np.int64)

    words = _words(examples.query_texts) + words_of(examples.positives) + words_of(examples.negatives)
    return pl.DataFrame(
        {
            "query_id": examples.query_ids,
            "positives": examples.positives.sizes().astype(np.int32),
            "negatives": examples.negatives.sizes().astype(np.int32),
            "words": words,
        }
    )


def write_records(folder: Path, rankings: pl.DataFrame, trained: pl.DataFrame) -> None:
    """Write the tables that only the moment of measuring and training knows to the run in `folder`."""
    write_table(rankings, "rankings", folder / RANKINGS)
    write_table(trained, "trained", folder / TRAINED)


def read_records(folder: Path) -> RunRecords:
    """Read the run in `folder`; raise ArtifactError where it is not finished or from before runs kept these files."""
    try:
        return RunRecords(
            metrics=read_json(folder / METRICS),
            history=_lines(folder / HISTORY),
            per_query=_lines(folder / PER_QUERY).sort("query_id"),
            rankings=read_table(folder / RANKINGS),
            trained=read_table(folder / TRAINED),
            pair_stats=pl.read_parquet(folder / PAIR_STATS) if (folder / PAIR_STATS).is_file() else None,
        )
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"{folder} cannot be reported: {error}. Delete it and train again"
        raise ArtifactError(message) from error


def _lines(path: Path) -> pl.DataFrame:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return pl.DataFrame(rows, infer_schema_length=None)


def _words(texts: list[str]) -> np.ndarray:
    return tokenise(texts).list.len().to_numpy().astype(np.int64)
