import gzip
import io
import tarfile
from datetime import UTC, datetime

import pytest

from negset.errors import InputError
from negset.sources.reading import read_source
from schemas.config import SourceConfig

PAGE = (
    "<html>\n<pre>\n\nA Title\nin two lines\n\nThe text &amp; more\nof it.\n\n"
    "CACM May,1963\n\nSmith, J.\n\n1\t5\t2\n</pre></html>"
)
SGML = (
    "<DOC>\n<DOCNO> A-01 </DOCNO>\n<HEADLINE>Head</HEADLINE>\n<TEXT>\nbody <b>one</b>\n</TEXT>\n</DOC>\n"
    "<DOC>\n<DOCNO>A-02</DOCNO>\nplain body\n</DOC>\n<DOC>\nno number\n</DOC>\n"
)
TOPICS = "<DOC>\n<DOCNO> 1 </DOCNO>\n what is\n it?\n</DOC>\n"
CLASSIC = "<top>\n<num> Number: 301\n<title> Topic: organised crime\n<desc> Description:\nlong\n</top>\n"


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def trec(path: str, **options: object) -> SourceConfig:
    return SourceConfig.model_validate({"format": "trec", "path": path, "max_bad_share": 1, **options})


def test_pages_in_an_archive(files):
    folder = files({"x.tar.gz": tar({"X-0007.html": PAGE.encode()}), "topics.txt": TOPICS, "qrels.txt": "1 Q0 X-7 1\n"})
    tables = read_source(trec(folder, id_width=4))
    assert tables.corpus.drop("file", "line", "metadata", "version_at").rows() == [
        ("X-0007", "A Title in two lines", "The text & more of it.", datetime(1963, 5, 1, tzinfo=UTC))
    ]
    assert tables.queries.select("query_id", "text").rows() == [("1", "what is it?")]
    assert tables.qrels.select("query_id", "doc_id", "relevance").rows() == [("1", "X-0007", 1)]


def test_ids_are_left_alone_without_a_width(files):
    folder = files({"X-0007.html": PAGE, "topics.txt": TOPICS, "qrels.txt": "1 Q0 X-7 1\n"})
    tables = read_source(trec(folder))
    assert tables.qrels.get_column("doc_id").to_list() == ["X-7"]
    assert tables.corpus.get_column("doc_id").to_list() == ["X-0007"]


def test_elements_and_classic_topics(files):
    folder = files({"docs/a.sgml": SGML, "topics.1": CLASSIC, "qrels.1": "301 0 A-01 0\n301 0 A-02 x\nshort\n"})
    tables = read_source(trec(folder))
    assert tables.corpus.select("doc_id", "title", "text", "line").rows() == [
        ("A-01", "Head", "body one", 1),
        ("A-02", None, "plain body", 8),
    ]
    assert tables.queries.select("query_id", "text").rows() == [("301", "organised crime")]
    assert sorted(tables.quarantine.select("file", "line", "column").rows()) == [
        ("docs/a.sgml", 12, "DOCNO"),
        ("qrels.1", 2, "relevance"),
        ("qrels.1", 3, None),
    ]


def test_a_page_with_bad_bytes_is_set_aside(files):
    folder = files({"a.html": b"<p>\xff</p>", "b.html": "<p>good</p>", "topics": TOPICS, "qrels": "1 0 b 1\n"})
    tables = read_source(trec(folder))
    assert tables.corpus.get_column("doc_id").to_list() == ["b"]
    assert tables.quarantine.get_column("file").to_list() == ["a.html"]


def test_member_names_are_data(files, tmp_path):
    folder = files({"x.tar.gz": tar({"../../evil.html": b"<p>text</p>"}), "topics": TOPICS, "qrels": "1 0 evil 1\n"})
    before = sorted(tmp_path.rglob("*"))
    assert read_source(trec(folder)).corpus.get_column("doc_id").to_list() == ["evil"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cut_archive_is_refused(files):
    packed = tar({f"{number}.html": PAGE.encode() * 50 for number in range(50)})
    for broken in (
        packed[: len(packed) // 2],
        gzip.compress(gzip.decompress(packed)[:700]),
        gzip.compress(b"x" * 2000),
    ):
        folder = files({"x.tar.gz": broken, "topics": TOPICS, "qrels": "1 0 1 1\n"})
        with pytest.raises(InputError, match=r"x\.tar\.gz is no whole"):
            read_source(trec(folder))
