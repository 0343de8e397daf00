"""TREC collections: SGML or HTML documents in files or a tar archive, a file of topics, and qrels.

An SGML file holds `<DOC>` elements with a `<DOCNO>`; any other file is one HTML document whose id is the file's
name without its ending. Where HTML has no title, the first paragraph is taken as one. A paragraph that is an
imprint (`CACM November, 1959`) dates the document and ends its text: below it stand authors and citation lists.
"""

import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final, cast

from negset.errors import InputError
from negset.sources.files import BLOCK, Place, digests, find_place, open_bytes, pick, read_capped, read_whole
from negset.sources.html_text import html_text, one_line
from negset.sources.intake import Intake, new_intake, query_text_of
from negset.sources.judgements import take_trec_qrels
from negset.sources.quarantine import BadRow
from negset.sources.tables import SourceTables
from negset.sources.values import id_of
from schemas.config import SourceConfig

CORPUS_FILES: Final = ("*.tar.gz", "*.tgz", "*.tar", "*.html", "*.htm", "*.sgml", "*.sgm", "*.trec")
TOPICS_FILES: Final = ("topics*", "*.topics")
QRELS_FILES: Final = ("qrels*", "*.qrels")
MAX_FILE: Final = 256 << 20
"""Bytes in one file of documents, which is held in memory."""
_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar")
_MONTHS: Final = "January February March April May June July August September October November December".split()
_IMPRINT: Final = re.compile(rf"[A-Z]{{2,8}}\s+({'|'.join(_MONTHS)}),?\s*([0-9]{{4}})")
_DOC: Final = re.compile(r"<DOC>(.*?)</DOC>", re.DOTALL | re.IGNORECASE)
_TOP: Final = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_DOCNO: Final = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.DOTALL | re.IGNORECASE)
_NUMBER: Final = re.compile(r"<num>\s*(?:Number:)?\s*(\S+)", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title>\s*(?:Topic:)?\s*(.*?)\s*(?=<|$)", re.DOTALL | re.IGNORECASE)
_HEADLINES: Final = re.compile(r"<(TITLE|HEADLINE|HL|TI|HEAD)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_TEXTS: Final = re.compile(r"<TEXT>(.*?)</TEXT>", re.DOTALL | re.IGNORECASE)


def read(source: SourceConfig) -> SourceTables:
    """Read a TREC collection."""
    place = find_place(source.path)
    corpus, topics, qrels = _files(place, source)
    intake = new_intake(source)
    for name in corpus:
        for file, raw in _documents(place, name):
            _take_documents(file, raw, intake)
    for name in topics:
        _take_topics(place, name, intake)
    for name in qrels:
        take_trec_qrels(place, name, intake, None)
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def _documents(place: Place, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the file `name`, or of each file in it where it is an archive.

    An archive is read as a stream and never unpacked to disk, so its member names are data, not paths.
    """
    if not name.endswith(_ARCHIVES):
        yield name, read_whole(place, name, MAX_FILE)
        return
    shown = f"{place.shown}/{name}"
    with open_bytes(place, name) as stream:
        try:
            with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None:
                        inside = f"{name}/{member.name}"
                        yield inside, read_capped(file, f"{place.shown}/{inside}", MAX_FILE)
        except tarfile.TarError as error:
            message = f"{shown} is no whole tar archive: {error}. Fetch it again; nothing of it was used"
            raise InputError(message) from error
        while stream.read(BLOCK):  # to the end, where a gzip file has its checksum
            pass


def _take_documents(file: str, raw: bytes, intake: Intake) -> None:
    """Put the documents in the bytes of one `file` into `intake`."""
    try:
        text = _decoded(raw)
        found = list(_DOC.finditer(text))
        if not found:
            intake.bad.rows_read += 1
            intake.corpus.add((_stem(file), *html_document(text), file, 1))
    except BadRow as refused:
        intake.bad.rows_read += 1
        intake.bad.add(file, None, refused, raw)
        return
    for line, element in _numbered(text, found):
        intake.bad.rows_read += 1
        try:
            intake.corpus.add((_docno(element), *_sgml_document(element), file, line))
        except BadRow as refused:
            intake.bad.add(file, line, refused, element.encode())


def _numbered(text: str, found: list[re.Match[str]]) -> Iterator[tuple[int, str]]:
    """Yield the line where each match starts, and its element."""
    line, seen = 1, 0
    for match in found:
        line += text.count("\n", seen, match.start())
        seen = match.start()
        yield line, match[1]


def html_document(markup: str) -> tuple[str | None, str, datetime | None, None]:
    """Give title, text, date and metadata of an HTML page."""
    title, text = html_text(markup)
    paragraphs = [one_line(part) for part in re.split(r"\n[ \t\r]*\n", text)]
    paragraphs = [part for part in paragraphs if part]
    imprint = next((place for place, part in enumerate(paragraphs) if _IMPRINT.fullmatch(part)), None)
    created = None
    if imprint is not None and (found := _IMPRINT.fullmatch(paragraphs[imprint])):
        created = datetime(int(found[2]), _MONTHS.index(found[1]) + 1, 1, tzinfo=UTC)
        paragraphs = paragraphs[:imprint]
    if not title and paragraphs:
        title, *paragraphs = paragraphs
    return title or None, " ".join(paragraphs), created, None


def _sgml_document(element: str) -> tuple[str | None, str, None, None]:
    titles = [one_line(html_text(match[2])[1]) for match in _HEADLINES.finditer(element)]
    parts = _TEXTS.findall(element) or [_HEADLINES.sub(" ", _DOCNO.sub(" ", element))]
    return " ".join(titles) or None, one_line(" ".join(html_text(part)[1] for part in parts)), None, None


def _take_topics(place: Place, name: str, intake: Intake) -> None:
    """Read `<top>` elements (the title is the query) or `<DOC>` elements (the whole text is)."""
    try:
        text = _decoded(read_whole(place, name, MAX_FILE))
    except BadRow as refused:
        message = f"{place.shown}/{name}: {refused.reason}"
        raise InputError(message) from refused
    tops = list(_TOP.finditer(text))
    for line, element in _numbered(text, tops or list(_DOC.finditer(text))):
        intake.bad.rows_read += 1
        try:
            key, query = _topic(element) if tops else (_docno(element), _sgml_document(element)[1])
            intake.queries.add((id_of(key, "num"), query_text_of(query, "title"), None, None, None, name, line))
        except BadRow as refused:
            intake.bad.add(name, line, refused, element.encode())


def _topic(element: str) -> tuple[str, str]:
    number, title = _NUMBER.search(element), _TITLE.search(element)
    key = number[1].partition("<")[0] if number else ""
    return key, one_line(html_text(title[1])[1]) if title else ""


def _docno(element: str) -> str:
    found = _DOCNO.search(element)
    return id_of(found[1] if found else None, "DOCNO")


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRow(reason=f"invalid UTF-8 at byte {error.start + 1}: {error.reason}") from None
    if "\0" in text:
        raise BadRow(reason=f"NUL at character {text.index(chr(0)) + 1}")
    return text


def _stem(file: str) -> str:
    return id_of(file.rpartition("/")[2].rpartition(".")[0], "file name")


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str], list[str]]:
    topics = pick(place, source.queries, TOPICS_FILES, "queries")
    qrels = pick(place, source.qrels, QRELS_FILES, "qrels")
    corpus = [name for name in pick(place, source.corpus, CORPUS_FILES, "corpus") if name not in (*topics, *qrels)]
    return corpus, topics, qrels
