"""SMART collections (Cranfield and its kin): `.I .T .A .B .W` records, queries alike, and a file of judgements.

Cranfield's queries are numbered 1, 2, 4, 8, ... in their file, but its judgements number them by their order,
1 to 225. The order is taken wherever no judgement names a number above the count of queries; else the numbers.
Its judgements are codes of Cleverdon's: 1 a complete answer, 2 of a high degree of relevance, 3 useful,
4 of minimum interest, 5 and -1 of no interest. They become relevance 4, 3, 2, 1, 0 and 0.
"""

import re
from collections.abc import Iterator
from typing import Final

from negset.sources.files import Place, digests, find_place, open_bytes, pick, pick_one
from negset.sources.intake import Intake, new_intake, query_text_of
from negset.sources.lines import Line, read_lines, take_lines
from negset.sources.quarantine import BadRow
from negset.sources.tables import SourceTables
from negset.sources.values import id_of, metadata_of, relevance_of
from schemas.config import SourceConfig

Record = tuple[int, dict[str, str]]
"""Line where a record starts, and its fields by letter, their lines joined by single spaces."""

CORPUS_FILES: Final = ("*.all", "*.ALL", "*.all.*", "*.ALL.*", "cacm.all")
QUERIES_FILES: Final = ("*.qry", "*.QRY", "query.text")
QRELS_FILES: Final = ("*qrel", "*qrels", "*.REL", "*.rel", "qrels.text")
_ID: Final = re.compile(r"\.I[ \t]+(\S+)\s*")
_FIELD: Final = re.compile(r"\.([A-Z])\s*")
_NAMES: Final = {"A": "author", "B": "source", "K": "keywords", "N": "note"}
_CLEVERDON: Final = {1: 4, 2: 3, 3: 2, 4: 1, 5: 0, -1: 0}


def read(source: SourceConfig) -> SourceTables:
    """Read a SMART collection."""
    place = find_place(source.path)
    corpus, queries, qrels = _files(place, source)
    intake = new_intake(source)
    for name in corpus:
        for line, record in records(place, name, intake):
            intake.corpus.add(_document(record, name, line))
    for name in qrels:
        _take_qrels(place, name, intake)
    _take_queries(place, queries, intake)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    corpus, queries, qrels = _files(place, source)
    return digests(place, [*corpus, queries, *qrels])


def records(place: Place, name: str, intake: Intake) -> Iterator[Record]:
    """Yield the records of the file `name`; a record with a bad line goes to the quarantine."""
    lines: list[Line] = []
    with open_bytes(place, name) as stream:
        for line in read_lines(stream):
            if _ID.fullmatch(line.text) and lines:
                yield from _record(lines, name, intake)
                lines = []
            if lines or line.raw.strip():
                lines.append(line)
    if lines:
        yield from _record(lines, name, intake)


def _record(lines: list[Line], name: str, intake: Intake) -> Iterator[Record]:
    """Yield the record that `lines` hold, its first line being `.I` and its id."""
    intake.bad.rows_read += 1
    try:
        yield lines[0].number, _fields(lines)
    except BadRow as refused:
        line = next((line for line in lines if line.problem), lines[0])
        intake.bad.add(name, line.number, refused, line.raw)


def _fields(lines: list[Line]) -> dict[str, str]:
    head = _ID.fullmatch(lines[0].text)
    if not head and not lines[0].problem:
        raise BadRow(reason="stands where a record should start with .I and an id")
    fields: dict[str, list[str]] = {}
    letter = ""
    for line in lines[1:]:
        if found := _FIELD.fullmatch(line.text):
            letter = found[1]
        elif letter or not line.text.strip():
            fields.setdefault(letter, []).append(line.text)
        else:
            raise BadRow(reason="has text before its first field")
    problem = next((line.problem for line in lines if line.problem), "")
    if problem or not head:
        raise BadRow(reason=problem)
    return {"I": head[1], **{letter: " ".join(" ".join(part).split()) for letter, part in fields.items()}}


def _document(record: dict[str, str], name: str, line: int) -> tuple[object, ...]:
    """Give a row of the corpus. Cranfield repeats the title at the start of the text; once is enough."""
    title, text = record.get("T", ""), record.get("W", "")
    body = text.removeprefix(title).lstrip() if title else text
    other = metadata_of({known: record.get(letter) or None for letter, known in _NAMES.items()})
    return (record["I"], title or None, body, None, other, name, line)


def _take_queries(place: Place, name: str, intake: Intake) -> None:
    """Read the queries, numbered by their order or by themselves, as the judgements do."""
    found = list(records(place, name, intake))
    judged = intake.qrels.frame().get_column("query_id").unique()
    numbers = [int(key) for key in judged if key.isdecimal()]
    ordered = len(numbers) == len(judged) and all(1 <= number <= len(found) for number in numbers)
    for place_in_file, (line, record) in enumerate(found, 1):
        key = str(place_in_file) if ordered else record["I"]
        own = metadata_of({"number_in_file": record["I"] if record["I"] != key else None})
        try:
            text = query_text_of(record.get("W", ""), "W")
        except BadRow as refused:
            intake.bad.add(name, line, refused, record["I"].encode())
            continue
        intake.queries.add((key, text, None, None, own, name, line))


def _take_qrels(place: Place, name: str, intake: Intake) -> None:
    """Read `query document [code]`, or the four columns of TREC, or those of CISI, whose judgements are all 1."""

    def take(line: Line) -> None:
        cells = line.text.split()
        if not 2 <= len(cells) <= 4:
            raise BadRow(reason=f"{len(cells)} columns between white space, not 2 to 4")
        query, document, relevance = _judgement(cells)
        intake.qrels.add((id_of(query, "query_id"), id_of(document, "doc_id"), relevance, None, name, line.number))

    take_lines(place, name, intake.bad, take)


def _judgement(cells: list[str]) -> tuple[str, str, int]:
    query = str(int(cells[0])) if cells[0].isdecimal() else cells[0]
    if len(cells) == 4 and cells[1] in ("0", "Q0"):
        return query, cells[2], relevance_of(cells[3], "relevance")
    if len(cells) != 3:
        return query, cells[1], 1
    code = relevance_of(cells[2], "relevance")
    if code not in _CLEVERDON:
        raise BadRow(column="relevance", reason=f"code {code} is not one of 1, 2, 3, 4, 5 and -1")
    return query, cells[1], _CLEVERDON[code]


def _files(place: Place, source: SourceConfig) -> tuple[list[str], str, list[str]]:
    return (
        pick(place, source.corpus, CORPUS_FILES, "corpus"),
        pick_one(place, source.queries, QUERIES_FILES, "queries"),
        pick(place, source.qrels, QRELS_FILES, "qrels"),
    )
