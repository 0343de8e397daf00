"""Pairs of a query and a positive text, one a row: JSON lines, Parquet or TSV.

Ids are made of the texts: a query text that stands in two rows is one query with two positives, and a positive
text that stands in two rows is one document.
"""

import hashlib
from collections.abc import Iterable

from negset.sources.files import Place, digests, find_place, open_bytes, pick
from negset.sources.intake import Add, Intake, Row, new_intake, query_text_of
from negset.sources.jsonl import take_objects
from negset.sources.lines import Line, read_lines, take_lines
from negset.sources.parquet import parquet_columns, take_parquet
from negset.sources.quarantine import BadRow
from negset.sources.tables import SourceTables
from negset.sources.values import optional_text_of, parse_object, text_of
from schemas.config import ColumnsConfig, SourceConfig

PAIRS_FILES = ("*.jsonl", "*.jsonl.gz", "*.parquet", "*.tsv", "*.tsv.gz")
_QUERY_NAMES = ("query", "anchor", "question")


def read(source: SourceConfig) -> SourceTables:
    """Read every file of pairs below the path of `source`."""
    place = find_place(source.path)
    intake = new_intake(source)
    for name in _files(place, source):
        columns = known_query_column(source.columns, first_names(place, name))
        _take_file(place, name, intake, pair_adder(intake, columns), columns)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, _files(place, source))


def pair_adder(intake: Intake, columns: ColumnsConfig, split: str | None = None) -> Add:
    """Give a function that puts one pair into the three tables of `intake`."""

    def add(row: Row, name: str, line: int) -> None:
        query = query_text_of(row.get(columns.query_text), columns.query_text)
        positive = text_of(row.get(columns.positive), columns.positive)
        if not positive.strip():
            raise BadRow(column=columns.positive, reason="empty positive")
        own = optional_text_of(row.get(columns.split), columns.split) or split
        query_id, doc_id = text_id("q", query), text_id("d", positive)
        intake.corpus.add((doc_id, None, positive, None, None, name, line))
        intake.queries.add((query_id, query, own, None, None, name, line))
        intake.qrels.add((query_id, doc_id, 1, own, name, line))

    return add


def text_id(prefix: str, text: str) -> str:
    """Give the id of a `text` that has none: the first 80 bits of its digest."""
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def known_query_column(columns: ColumnsConfig, found: Iterable[str]) -> ColumnsConfig:
    """Give `columns`, its query column replaced by a usual name where the table has that one alone."""
    names = list(found)
    usual = [name for name in _QUERY_NAMES if name in names]
    if columns.query_text in names or not usual:
        return columns
    return columns.model_copy(update={"query_text": usual[0]})


def _take_file(place: Place, name: str, intake: Intake, add: Add, columns: ColumnsConfig) -> None:
    needed = (columns.query_text, columns.positive)
    if name.endswith(".parquet"):
        take_parquet(place, name, intake, add, needed)
    elif ".jsonl" in name:
        take_objects(place, name, intake, add, needed)
    else:
        _take_tsv(place, name, intake, add, columns)


def _take_tsv(place: Place, name: str, intake: Intake, add: Add, columns: ColumnsConfig) -> None:
    """Read two columns between tabs; a first line that holds the two column names is their header."""
    names = (columns.query_text, columns.positive)

    def take(line: Line) -> None:
        cells = tuple(line.text.split("\t"))
        if len(cells) != 2:
            raise BadRow(reason=f"{len(cells)} columns between tabs, not 2")
        if line.number == 1 and cells == names:
            intake.bad.pass_over()
            return
        add(dict(zip(names, cells, strict=True)), name, line.number)

    take_lines(place, name, intake.bad, take)


def first_names(place: Place, name: str) -> list[str]:
    """Name the columns of the file `name` as its first row shows them; none where that row is bad."""
    if name.endswith(".parquet"):
        return parquet_columns(place, name)
    with open_bytes(place, name) as stream:
        line = next(read_lines(stream), None)
    if line is None or line.problem:
        return []
    if ".jsonl" not in name:
        return line.text.split("\t")
    try:
        return list(parse_object(line.text))
    except BadRow:
        return []


def _files(place: Place, source: SourceConfig) -> list[str]:
    return pick(place, source.corpus, PAIRS_FILES, "corpus")
