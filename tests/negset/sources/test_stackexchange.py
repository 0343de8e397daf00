import gzip
from datetime import UTC, datetime

import polars as pl
import pytest

from negset.errors import InputError
from negset.sources.reading import read_source
from schemas.config import SourceConfig

POSTS = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="2" PostTypeId="2" ParentId="1" Score="0" Body="&lt;p&gt;accepted&lt;/p&gt;" />
  <row Id="1" PostTypeId="1" AcceptedAnswerId="2" Score="5" OwnerUserId="9" CreationDate="2018-03-12T16:00:00"
    Title="Why  so?" Tags="&lt;a&gt;&lt;b-c&gt;"
    Body="&lt;p&gt;x&lt;sup&gt;2&lt;/sup&gt; &amp;lt; 3&lt;/p&gt;&lt;p&gt;next&lt;/p&gt;" />
  <row Id="3" PostTypeId="2" ParentId="1" Score="3" Body="good" />
  <row Id="4" PostTypeId="2" ParentId="1" Score="2" Body="fair" />
  <row Id="5" PostTypeId="2" ParentId="1" Score="-1" Body="bad" />
  <row Id="6" PostTypeId="2" ParentId="99" Score="1" Body="stray" />
  <row Id="7" PostTypeId="1" Score="1" Title="Same?" Body="" />
  <row Id="8" PostTypeId="5" Score="0" Body="tag" />
  <row Id="9" PostTypeId="1" Score="1" Title=" " Body="" />
</posts>
"""
LINKS = """<?xml version="1.0"?><postlinks>
  <row Id="1" PostId="7" RelatedPostId="1" LinkTypeId="3" />
  <row Id="2" PostId="7" RelatedPostId="1" LinkTypeId="1" />
  <row Id="3" PostId="7" RelatedPostId="55" LinkTypeId="3" />
</postlinks>"""


def dump(path: str) -> SourceConfig:
    return SourceConfig(format="stackexchange", path=path, max_bad_share=1)


def test_a_dump_becomes_questions_answers_and_grades(files):
    tables = read_source(dump(files({"Posts.xml.gz": gzip.compress(POSTS.encode()), "PostLinks.xml": LINKS})))
    assert tables.corpus.select("doc_id", "title", "text").rows() == [
        ("a2", None, "accepted"),
        ("q1", "Why so?", "x2 < 3 next"),
        ("a3", None, "good"),
        ("a4", None, "fair"),
        ("a5", None, "bad"),
        ("a6", None, "stray"),
        ("q7", "Same?", ""),
    ]
    assert tables.queries.select("query_id", "text", "metadata").rows() == [
        ("q1", "Why so?", '{"tags":["a","b-c"]}'),
        ("q7", "Same?", None),
    ]
    assert tables.queries.row(0, named=True)["asked_at"] == datetime(2018, 3, 12, 16, tzinfo=UTC)
    assert dict((row[:2], row[2]) for row in tables.qrels.rows()) == {
        ("q1", "a2"): 3,
        ("q1", "a3"): 2,
        ("q1", "a4"): 1,
        ("q1", "a5"): 0,
        ("q7", "q1"): 3,
    }
    assert tables.notes == {
        "answers to questions outside the dump": 1,
        "posts that are neither question nor answer": 1,
        "links that mark no duplicate": 1,
        "duplicate links out of the dump": 1,
    }
    assert tables.quarantine.select("line", "column", "reason").rows() == [(13, "Title", "empty query")]


def test_a_duplicate_is_known_from_the_day_of_its_link(files):
    links = LINKS.replace('Id="1" PostId="7"', 'Id="1" PostId="7" CreationDate="2019-05-01T08:00:00"')
    tables = read_source(dump(files({"Posts.xml": POSTS, "PostLinks.xml": links})))
    dated = tables.qrels.filter(pl.col("judged_at").is_not_null())
    assert dated.select("query_id", "doc_id", "judged_at").rows() == [("q7", "q1", datetime(2019, 5, 1, 8, tzinfo=UTC))]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE posts [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE posts SYSTEM "file:///etc/passwd">',
    ],
)
def test_entities_and_document_types_are_refused(files, head):
    posts = f'{head}<posts><row Id="1" PostTypeId="1" Title="&b;"/></posts>'
    with pytest.raises(InputError, match=r"Posts\.xml:1: declares a document type or an entity"):
        read_source(dump(files({"Posts.xml": posts, "PostLinks.xml": LINKS})))


@pytest.mark.parametrize("broken", [POSTS[:400], POSTS.replace("</posts>", ""), "", "<posts>\0</posts>"])
def test_broken_xml_is_named_by_line(files, broken):
    with pytest.raises(InputError, match=r"Posts\.xml:\d+: column \d+: not XML"):
        read_source(dump(files({"Posts.xml": broken, "PostLinks.xml": LINKS})))
