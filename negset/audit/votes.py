"""Votes of people on negatives: the file they are asked in, and the file they come back in.

A row is one rater's vote on one pair. `vote` says whether the document answers the query: yes makes it a false
negative. Rows without a vote are left out. On the page of a set a rater may pick what to vote on: there `drawn` says
no of a negative that no lot chose. Without that column all were drawn.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from negset.audit.sampling import Question
from negset.errors import InputError, hint

WORDS: Final = ("yes", "no", "unsure")
KEYS: Final = ("version", "query_id", "doc_id", "rater", "vote")
"""Columns that votes are read from, beside `drawn`; the others are for people."""
DRAWN: Final = ("yes", "no")
COLUMNS: Final = ("version", "query_id", "doc_id", "positive_id", "query", "positive", "negative", "rater", "vote")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_questions(questions: Sequence[Question], version: str) -> str:
    """Write `questions` about the set's `version` as CSV with empty places for rater and vote.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in questions:
        texts = [_plain(text) for text in (one.query, one.positive, one.negative)]
        writer.writerow([version, one.query_id, one.doc_id, one.positive_id, *texts, "", ""])
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def read_votes(paths: Sequence[Path], version: str, negatives: pl.DataFrame) -> pl.DataFrame:
    """Read `query_id`, `doc_id`, `rater`, `vote` and whether it is `drawn` from the files `paths`; check every row.

    `negatives` are those of the `version`. Raises InputError naming file and line for a column that lacks, another
    version, a pair that is no negative of it, a word that is no vote, a vote without a rater, and a rater's second
    vote on a pair; and where there is no vote at all.
    """
    known = set(negatives.select("query_id", "doc_id").iter_rows())
    seen: dict[tuple[str, str, str], str] = {}
    rows: list[tuple[str, str, str, str, bool]] = []
    for path in paths:
        for line, row in _rows(path):
            where = f"{path}, line {line}"
            vote = row["vote"].strip().lower()
            if row["version"] != version:
                message = f"{where}: the vote is on version {row['version']!r}, the set is {version}"
                raise InputError(message)
            pair = (row["query_id"], row["doc_id"])
            if pair not in known:
                message = f"{where}: query {pair[0]!r} has no negative {pair[1]!r} in version {version}"
                raise InputError(message)
            if not vote:
                continue
            _check_vote(vote, row["rater"].strip(), row["drawn"], where)
            key = (*pair, row["rater"].strip())
            if key in seen:
                message = f"{where}: rater {key[2]!r} voted on query {pair[0]!r}, document {pair[1]!r} in {seen[key]}"
                raise InputError(message)
            seen[key] = where
            rows.append((*key, vote, row["drawn"] == DRAWN[0]))
    if not rows:
        message = f"no votes in {', '.join(map(str, paths))}: fill the column vote with {', '.join(WORDS)}"
        raise InputError(message)
    schema = {name: pl.String for name in ("query_id", "doc_id", "rater", "vote")} | {"drawn": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("query_id", "doc_id", "rater")


def _check_vote(vote: str, rater: str, drawn: str, where: str) -> None:
    if drawn not in DRAWN:
        message = f"{where}: drawn is {drawn!r}, not yes or no"
        raise InputError(message)
    if vote not in WORDS:
        message = f"{where}: vote {vote!r}{hint(vote, WORDS)} is none of {', '.join(WORDS)}"
        raise InputError(message)
    if not rater:
        message = f"{where}: a vote without a rater; write a name or number into the column rater"
        raise InputError(message)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of the CSV file at `path`, each with the line on which it ends."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read votes from {path}: {error}"
        raise InputError(message) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        lacking = [name for name in KEYS if name not in (reader.fieldnames or ())]
        if lacking:
            message = f"{path}, line 1: column {', '.join(lacking)} is missing; votes need {', '.join(KEYS)}"
            raise InputError(message)
        optional = [name for name in ("drawn",) if name in (reader.fieldnames or ())]
        for row in reader:
            if None in row or any(row[name] is None for name in (*KEYS, *optional)):
                message = f"{path}, line {reader.line_num}: the row has not as many fields as line 1 has columns"
                raise InputError(message)
            found.append((reader.line_num, {"drawn": DRAWN[0]} | {name: row[name] for name in (*KEYS, *optional)}))
    except csv.Error as error:
        message = f"{path}, line {reader.line_num + 1}: {error}"
        raise InputError(message) from error
    return found
