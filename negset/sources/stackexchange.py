"""A Stack Exchange dump: `Posts.xml` and `PostLinks.xml`, gzipped or not.

Documents are the questions (`q<id>`, with their title) and the answers (`a<id>`). A query is a question's title,
under the question's id. A duplicate is known from the day of its link; who accepted and voted when, the dump does not
say. Relevance is 3 for the accepted answer and for a question that it duplicates (link type 3),
2 for an answer with a score of 3 or more, 1 for one with 0 to 2, 0 for one voted below zero: a judged negative.
Posts of other kinds (tag texts) and links of other kinds or out of the dump are passed over and counted.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from xml.parsers import expat

from negset.errors import InputError
from negset.sources.files import BLOCK, Place, digests, find_place, open_bytes, pick_one
from negset.sources.html_text import html_text, one_line
from negset.sources.intake import Intake, new_intake, query_text_of
from negset.sources.quarantine import BadRow
from negset.sources.tables import SourceTables
from negset.sources.values import id_of, metadata_of, relevance_of, time_of
from schemas.config import SourceConfig

QUESTION, ANSWER, DUPLICATE = "1", "2", "3"
GOOD_SCORE: Final = 3
POSTS_FILES: Final = ("Posts.xml", "Posts.xml.gz")
LINKS_FILES: Final = ("PostLinks.xml", "PostLinks.xml.gz")

Attributes = Mapping[str, str]


def read(source: SourceConfig) -> SourceTables:
    """Read a dump; answers may stand before their question."""
    place = find_place(source.path)
    posts, links = _files(place, source)
    intake = new_intake(source)
    accepted: dict[str, str] = {}
    answers: list[tuple[str, str, int, int]] = []

    def take_post(row: Attributes, line: int) -> None:
        kind = row.get("PostTypeId")
        if kind == QUESTION:
            key = _add_question(row, posts, line, intake)
            accepted[key] = row.get("AcceptedAnswerId", "")
        elif kind == ANSWER:
            answers.append(_add_answer(row, posts, line, intake))
        else:
            intake.note("posts that are neither question nor answer")

    take_rows(place, posts, intake, take_post)
    for key, parent, score, line in answers:
        if parent in accepted:
            _judge(intake, parent, f"a{key}", _grade(score, key == accepted[parent]), posts, line)
        else:
            intake.note("answers to questions outside the dump")
    _take_links(place, links, set(accepted), intake)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, _files(place, source))


def take_rows(place: Place, name: str, intake: Intake, take: Callable[[Attributes, int], None]) -> None:
    """Hand the attributes and the line of each `row` element of the file `name` to `take`.

    The file is parsed as a stream. Raises InputError where it is no XML, or declares entities or a document type:
    a dump needs none, and they are how an XML bomb is built.
    """
    shown = f"{place.shown}/{name}"
    parser = expat.ParserCreate()

    def start(tag: str, row: dict[str, str]) -> None:
        if tag != "row":
            return
        line = parser.CurrentLineNumber
        intake.bad.rows_read += 1
        try:
            take(row, line)
        except BadRow as refused:
            intake.bad.add(name, line, refused, repr(sorted(row.items())).encode())

    def refuse(*_: object) -> None:
        message = (
            f"{shown}:{parser.CurrentLineNumber}: declares a document type or an entity, which a dump has not: refused"
        )
        raise InputError(message)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    with open_bytes(place, name) as stream:
        try:
            while block := stream.read(BLOCK):
                parser.Parse(block, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            message = f"{shown}:{error.lineno}: column {error.offset + 1}: not XML: {expat.ErrorString(error.code)}"
            raise InputError(message) from error


def _add_question(row: Attributes, name: str, line: int, intake: Intake) -> str:
    key = id_of(row.get("Id"), "Id")
    title = query_text_of(one_line(row.get("Title", "")), "Title")
    created = time_of(row.get("CreationDate"), "CreationDate")
    tags = [tag for tag in re.split(r"[<>|]+", row.get("Tags", "")) if tag]
    intake.corpus.add((f"q{key}", title, _body(row), created, _about(row, "question"), name, line))
    intake.queries.add((f"q{key}", title, None, created, metadata_of({"tags": tags or None}), name, line))
    return key


def _add_answer(row: Attributes, name: str, line: int, intake: Intake) -> tuple[str, str, int, int]:
    """Put an answer into the corpus; give its id, its question's, its score and its line."""
    key, parent = id_of(row.get("Id"), "Id"), id_of(row.get("ParentId"), "ParentId")
    score = relevance_of(row.get("Score", "0"), "Score")
    created = time_of(row.get("CreationDate"), "CreationDate")
    intake.corpus.add((f"a{key}", None, _body(row), created, _about(row, "answer"), name, line))
    return key, parent, score, line


def _take_links(place: Place, name: str, questions: set[str], intake: Intake) -> None:
    def take(row: Attributes, line: int) -> None:
        if row.get("LinkTypeId") != DUPLICATE:
            intake.note("links that mark no duplicate")
        elif row.get("PostId") in questions and row.get("RelatedPostId") in questions:
            linked = time_of(row.get("CreationDate"), "CreationDate")
            _judge(intake, row["PostId"], f"q{row['RelatedPostId']}", 3, name, line, linked)
        else:
            intake.note("duplicate links out of the dump")

    take_rows(place, name, intake, take)


def _judge(
    intake: Intake,
    question: str,
    document: str,
    relevance: int,
    name: str,
    line: int,
    judged_at: datetime | None = None,
) -> None:
    intake.qrels.add((f"q{question}", document, relevance, None, name, line, judged_at))


def _grade(score: int, accepted: bool) -> int:
    if accepted:
        return 3
    if score < 0:
        return 0
    return 2 if score >= GOOD_SCORE else 1


def _body(row: Attributes) -> str:
    return one_line(html_text(row.get("Body", ""))[1])


def _about(row: Attributes, kind: str) -> str | None:
    score = relevance_of(row.get("Score", "0"), "Score")
    return metadata_of({"kind": kind, "owner": row.get("OwnerUserId"), "score": score})


def _files(place: Place, source: SourceConfig) -> tuple[str, str]:
    return (
        pick_one(place, source.corpus, POSTS_FILES, "corpus"),
        pick_one(place, source.qrels, LINKS_FILES, "qrels"),
    )
