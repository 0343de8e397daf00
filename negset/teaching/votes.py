"""People's votes on pairs: read from a file, checked row by row, and added up. No vote is lost in a majority.

A file has the columns `query_id`, `doc_id`, `vote` and `rater`, as `negset audit` writes it; others are for people.
Several votes on a pair are a distribution and stay one (DICES, arXiv 2306.11247).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Rows
from negset.errors import ConfigError, InputError, MissingColumnsError, listed
from negset.teaching.teacher import Pairs, pack

WORDS: Final = ("yes", "no", "unsure")
COLUMNS: Final = ("query_id", "doc_id", "vote", "rater")
UNSURE: Final = 0.5
"""What an unsure vote counts (DICES)."""


@dataclass(frozen=True)
class Votes:
    """Votes by pair: packed `pairs` in ascending order, and how much of their votes says yes, no, and neither."""

    pairs: Rows
    yes: Floats
    no: Floats
    unsure: Floats

    def share(self) -> Floats:
        """Give the share of yes among the votes on each pair, an unsure one counting half."""
        share: Floats = (self.yes + UNSURE * self.unsure) / self._votes()
        return share

    def agreement(self, least: int) -> Floats:
        """Give the share of the votes on each pair that agree on yes, or on no; 0 with fewer than `least` votes."""
        agreed: Floats = np.maximum(self.yes, self.no) / self._votes()
        return np.where(self._votes() >= least, agreed, 0.0)

    def of(self, value: Floats, packed: Rows) -> Floats:
        """Give the `value` of each of the `packed` pairs, NaN for those without a vote."""
        place = np.minimum(np.searchsorted(self.pairs, packed), len(self.pairs) - 1)
        return np.where(self.pairs[place] == packed, value[place], np.nan)

    def _votes(self) -> Floats:
        return self.yes + self.no + self.unsure


def read_votes(path: Path, query_ids: pl.Series, doc_ids: pl.Series) -> Votes:
    """Read the CSV or Parquet file at `path`; rows with an empty vote are left out.

    A vote is a word of `WORDS`, or a number from 0 to 1: how much of it says yes. A rater votes once on a pair; rows
    without a rater are of a rater each. Raises InputError naming the lines of ids that are not among `query_ids` and
    `doc_ids`, of votes that are none, and of a rater's second vote; and where there is no vote.
    """
    queries, documents = (dict(zip(ids.to_list(), range(len(ids)), strict=True)) for ids in (query_ids, doc_ids))
    problems: list[str] = []
    seen: dict[tuple[str, str, str], str] = {}
    rows: list[tuple[int, int, float, float, float]] = []
    for where, row in _read_rows(path):
        query, doc, vote, rater = (row[name].strip() for name in COLUMNS)
        if not vote:
            continue
        counted = _count(vote.lower())
        known = [f"unknown query {query!r}"] * (query not in queries)
        known += [f"unknown document {doc!r}"] * (doc not in documents)
        known += [f"vote {vote!r} is none of {', '.join(WORDS)} nor a number from 0 to 1"] * (counted is None)
        if rater and (query, doc, rater) in seen:
            known.append(f"rater {rater!r} voted on this pair in {seen[query, doc, rater]}")
        seen[query, doc, rater] = where
        problems += [f"{where}: {problem}" for problem in known]
        if not known and counted:
            rows.append((queries[query], documents[doc], *counted))
    if problems:
        message = f"teach.votes.path {path} has {len(problems)} wrong rows: {listed(problems)}"
        raise InputError(message)
    if not rows:
        message = f"teach.votes.path {path} has no votes: fill the column vote with {', '.join(WORDS)}"
        raise InputError(message)
    return _sum(rows, len(documents))


def _sum(rows: list[tuple[int, int, float, float, float]], documents: int) -> Votes:
    table = np.array(rows, dtype=np.float64)
    query, doc = (table[:, side].astype(np.int64) for side in (0, 1))
    pairs, place = np.unique(pack(Pairs(query, doc), documents), return_inverse=True)
    yes, no, unsure = (np.bincount(place, weights=table[:, kind]).astype(np.float64) for kind in (2, 3, 4))
    return Votes(pairs, yes, no, unsure)


def _count(vote: str) -> tuple[float, float, float] | None:
    """Give how much of `vote` says yes, no and neither; None for what is no vote."""
    if vote in WORDS:
        return vote == "yes", vote == "no", vote == "unsure"
    try:
        degree = float(vote)
    except ValueError:
        return None
    return (degree, 1 - degree, 0.0) if 0 <= degree <= 1 else None


def _read_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield where each row stands and what it holds, empty texts for nulls."""
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            _require_columns(path, table.fieldnames or ())
            for row in table:
                yield f"line {table.line_num}", {name: row.get(name) or "" for name in COLUMNS}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"teach.votes.path: cannot read votes from {path}: {error}"
        raise InputError(message) from error


def _read_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"teach.votes.path: cannot read votes from {path}: {error}"
        raise InputError(message) from error
    _require_columns(path, frame.columns)
    texts = frame.select(pl.col(COLUMNS).cast(pl.String).fill_null(""))
    for number, row in enumerate(texts.iter_rows(named=True), start=1):
        yield f"row {number}", row


def _require_columns(path: Path, found: Sequence[str]) -> None:
    if not set(COLUMNS) <= set(found):
        raise MissingColumnsError.from_columns(str(path), COLUMNS, found)


def require_file(path: str) -> None:
    """Raise ConfigError where `path` is no file."""
    if not path or not Path(path).is_file():
        found = f"there is no file {path!r}" if path else "it is empty"
        message = (
            f"teach.votes.path: {found}; the recipe asks for people's votes. Set it to a CSV or Parquet file with the "
            f"columns {', '.join(COLUMNS)}; `negset audit` writes one to fill in"
        )
        raise ConfigError(message)
