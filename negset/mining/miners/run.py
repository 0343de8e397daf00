"""Propose what somebody else's run has: a TREC run file, or a Parquet of query_id, doc_id, score.

Ranks follow from the scores (descending, then doc_id), not from the file's own rank column. Whoever made the run
may have searched documents that a query could not know: these are left out and counted.
"""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.errors import ConfigError, InputError, MissingColumnsError, listed
from negset.fingerprint import file_digest
from negset.mining.miner import MiningInputs, OpenMiner
from negset.mining.positives import doc_ids
from negset.mining.scored_pairs import ScoredPairs, open_partition, score_pairs
from negset.mining.times import last_moments, moments_of_creation
from negset.search import canonical

VERSION = 2
MAX_UNKNOWN_SHARE: Final = 0.1
"""Share of the rows of known queries that may name documents which the corpus lacks: more is another corpus."""

_COLUMNS = ("query_id", "doc_id", "score")
_FIELDS = ("query_id", "iteration", "doc_id", "rank", "score", "tag")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run(ScoredPairs):
    """Scored pairs by row numbers of the snapshot, sorted by (query, doc), and what could not be placed."""

    unknown_queries: int
    unknown_documents: int


def identity(inputs: MiningInputs) -> object:
    """Give the digest of the file."""
    return {"run": file_digest(_path(inputs))}


def open_miner(inputs: MiningInputs) -> OpenMiner:
    """Read the run once."""
    run = read_run(_path(inputs), inputs.snapshot.queries().get_column("query_id"), doc_ids(inputs.snapshot))
    later = count_later(run, inputs)
    if later:
        about = (inputs.config.run.path, later, len(run.doc))
        _log.warning("%s: %d of %d rows are of documents created after what mine.time lets their query know", *about)
    return OpenMiner(open_partition=partial(open_partition, run), score_pairs=partial(score_pairs, run))


def read_run(path: Path, query_ids: pl.Series, documents: pl.Series) -> Run:
    """Read the run at `path` and place its pairs in the sorted `query_ids` and `documents`.

    Unknown ids are counted. Raises InputError naming the line for what is no run, a score that is not finite, a
    pair that stands there twice, and where too many documents of known queries are unknown.
    """
    frame = (_read_parquet(path) if path.suffix == ".parquet" else _read_trec(path)).with_row_index("line", offset=1)
    _check_scores(frame, path)
    placed = frame.join(_numbered(query_ids, "query"), on="query_id", how="left", maintain_order="left").join(
        _numbered(documents, "doc"), on="doc_id", how="left", maintain_order="left"
    )
    known = placed.filter(pl.col("query").is_not_null())
    kept = known.filter(pl.col("doc").is_not_null()).sort("query", "doc")
    _check_known(path, known, kept)
    unknown = placed.filter(pl.col("query").is_null()).get_column("query_id").n_unique()
    query, doc = (kept.get_column(name).to_numpy().astype(np.int64) for name in ("query", "doc"))
    run = Run(query, doc, canonical(kept.get_column("score").to_numpy()), unknown, known.height - kept.height)
    if run.unknown_queries or run.unknown_documents:
        counts = (run.unknown_queries, run.unknown_documents)
        _log.warning("%s: %d unknown queries, %d rows of unknown documents", path, *counts)
    return run


def count_later(run: Run, inputs: MiningInputs) -> int:
    """Count the pairs of `run` whose document was created after what its query may know."""
    until_Q = last_moments(inputs.snapshot.queries().get_column("asked_at"), inputs.config.time)
    created = inputs.snapshot.document_columns("created_at").get_column("created_at")
    created_N = moments_of_creation(created, inputs.config.time)
    return int((created_N[run.doc] > until_Q[run.query]).sum())


def _path(inputs: MiningInputs) -> Path:
    path = Path(inputs.config.run.path)
    if not inputs.config.run.path or not path.is_file():
        message = f"mine.run.path {inputs.config.run.path!r} is no file; name a TREC run file or a Parquet of scores"
        raise ConfigError(message)
    return path


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{path} cannot be read as Parquet: {error}"
        raise InputError(message) from error
    if any(name not in frame.columns for name in _COLUMNS):
        raise InputError(str(MissingColumnsError.from_columns(str(path), _COLUMNS, frame.columns)))
    return frame.select(pl.col("query_id", "doc_id").cast(pl.String), pl.col("score").cast(pl.Float64))


def _read_trec(path: Path) -> pl.DataFrame:
    """Read lines of `query_id Q0 doc_id rank score tag`, separated by white space; line n is row n."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 at byte {error.start}; a run file is plain text"
        raise InputError(message) from error
    text = pl.Series("line", lines).str.strip_chars()
    fields = (
        text.str.replace_all(r"\s+", " ").str.split_exact(" ", 5).struct.rename_fields(list(_FIELDS)).struct.unnest()
    )
    short = fields.get_column("tag").is_null() & (text != "")
    if short.any():
        line = int(short.arg_max() or 0)
        message = f"{path}, line {line + 1}: {text[line][:80]!r} is not 'query_id Q0 doc_id rank score tag'"
        raise InputError(message)
    blank = pl.lit(text == "")
    return fields.select(
        pl.when(~blank).then("query_id").alias("query_id"), "doc_id", pl.col("score").cast(pl.Float64, strict=False)
    )


def _check_scores(frame: pl.DataFrame, path: Path) -> None:
    bad = frame.filter(pl.col("query_id").is_not_null() & ~pl.col("score").is_finite().fill_null(value=False))
    if bad.height:
        message = f"{path}, line or row {bad['line'][0]}: the score is no finite number ({bad.height} like it)"
        raise InputError(message)
    pairs = frame.drop_nulls("query_id")
    twice = pairs.filter(~pl.struct("query_id", "doc_id").is_first_distinct())
    if twice.height:
        line, query, doc, _ = twice.row(0)
        message = (
            f"{path}, line or row {line}: query {query!r} has document {doc!r} twice ({twice.height} like it); keep one"
        )
        raise InputError(message)


def _check_known(path: Path, known: pl.DataFrame, kept: pl.DataFrame) -> None:
    lost = known.height - kept.height
    if known.is_empty():
        message = f"{path}: none of its queries is in the snapshot; its ids may be of another collection"
        raise InputError(message)
    if lost > MAX_UNKNOWN_SHARE * known.height:
        ids = known.filter(pl.col("doc").is_null()).get_column("doc_id").unique(maintain_order=True).head(5).to_list()
        message = f"{path}: {lost} of {known.height} rows name documents that the corpus lacks, such as {listed(ids)}"
        raise InputError(message)


def _numbered(ids: pl.Series, name: str) -> pl.DataFrame:
    return pl.DataFrame({f"{name}_id": ids, name: pl.int_range(len(ids), dtype=pl.Int64, eager=True)})
