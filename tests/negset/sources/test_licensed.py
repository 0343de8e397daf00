"""Documents of other licences are left out before anything is mined, and nothing of them disappears silently."""

import polars as pl
import pytest
from pydantic import ValidationError

from negset.canonical import canonical_tables
from negset.errors import ConfigError, InputError
from negset.sources.reading import read_source, source_fingerprint
from schemas.config import SourceConfig


@pytest.fixture
def source(tmp_path):
    """Give a function that names the source of four documents, three of which say under which licence they stand."""
    documents = [
        ("d1", "one", "MIT"),
        ("d2", "two", "proprietary"),
        ("d3", "three", None),
        ("d4", "four", " cc-by-4.0 "),
    ]
    labels = [("q1", "d1"), ("q1", "d2"), ("q2", "d2"), ("q3", "d3")]
    columns = {
        "corpus": ["doc_id", "text", "licence"],
        "queries": ["query_id", "text"],
        "qrels": ["query_id", "doc_id"],
    }
    queries = [("q1", "first"), ("q2", "second"), ("q3", "third")]
    for name, rows in (("corpus", documents), ("queries", queries), ("qrels", labels)):
        pl.DataFrame(rows, schema=columns[name], orient="row").write_parquet(tmp_path / f"{name}.parquet")

    def named(*licences, column="licence"):
        return SourceConfig(format="parquet", path=str(tmp_path), licences=licences, licence_column=column)

    return named


def kept(config):
    return canonical_tables(read_source(config), config)


@pytest.mark.parametrize(
    ("licences", "documents", "judged"),
    [
        ((), ["d1", "d2", "d3", "d4"], 4),
        (("mit", "CC-BY-4.0"), ["d1", "d4"], 1),
        (("mit", "unknown"), ["d1", "d3"], 2),
        (("mit", "cc-by"), ["d1"], 1),  # no prefix is enough
    ],
)
def test_documents_of_other_licences_are_left_out_and_counted(source, licences, documents, judged):
    found = kept(source(*licences))
    assert found.corpus["doc_id"].to_list() == documents
    assert found.qrels.height == judged
    facts = found.facts
    assert (facts.documents_read, facts.qrels_read) == (4, 4)
    assert facts.documents_unlicensed == 4 - len(documents)
    assert facts.qrels_left_out == 4 - judged
    # Neither bad rows, which would stop a build, nor judgements of documents that nobody knows.
    assert (facts.quarantined, facts.qrels_missing_document, facts.documents_empty) == (0, 0, 0)


def test_a_query_keeps_its_other_positives(source):
    """The wrong version drops every query that has a positive of another licence."""
    found = kept(source("mit", "unknown"))
    assert found.queries["query_id"].to_list() == ["q1", "q2", "q3"]
    assert found.qrels.select("query_id", "doc_id").rows() == [("q1", "d1"), ("q3", "d3")]
    assert found.facts.queries_without_positive == 1


def test_what_is_left_out_names_another_snapshot(source):
    assert source_fingerprint(source()) != source_fingerprint(source("mit"))


def test_a_column_that_nobody_has_and_a_licence_that_nobody_has_are_errors(source):
    with pytest.raises(ConfigError, match=r"'license', which none of the documents has \(did you mean 'licence'\?\)"):
        read_source(source("mit", column="license"))
    with pytest.raises(InputError, match=r"none of 4 documents has a licence .*\(gpl\); they have 1 MIT"):
        read_source(source("gpl"))
    with pytest.raises(ValidationError, match="licences are named, but not licence_column"):
        source("mit", column="")
