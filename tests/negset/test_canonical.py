import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.canonical import NO_DOCUMENT, NO_QUERY, NUL, canonical_tables
from negset.errors import InputError
from negset.sources.quarantine import EMPTY
from negset.sources.tables import CORPUS, QRELS, QUARANTINE, QUERIES, SourceTables
from negset.text import text_digest
from schemas.config import SourceConfig

LAX = SourceConfig(format="beir", max_bad_share=1)
STRICT = SourceConfig(format="beir")

Documents = list[tuple[str, str | None, str]]


def source_tables(
    documents: Documents | None = None,
    queries: list[tuple[str, str, str]] | None = None,
    qrels: list[tuple[str, str, int, str]] | None = None,
) -> SourceTables:
    documents = [("d1", None, "one"), ("d2", "T", "two")] if documents is None else documents
    queries = [("q1", "first", "train"), ("q2", "second", "train")] if queries is None else queries
    qrels = [("q1", "d1", 1, "train")] if qrels is None else qrels
    corpus = [
        (key, title, text, None, None, "corpus", line, None) for line, (key, title, text) in enumerate(documents, 1)
    ]
    asked = [(key, text, split, None, None, "queries", line) for line, (key, text, split) in enumerate(queries, 1)]
    judged = [(*row, "qrels", line, None) for line, row in enumerate(qrels, 1)]
    return SourceTables(
        corpus=pl.DataFrame(corpus, schema=dict(CORPUS), orient="row"),
        queries=pl.DataFrame(asked, schema=dict(QUERIES), orient="row"),
        qrels=pl.DataFrame(judged, schema=dict(QRELS), orient="row"),
        quarantine=pl.DataFrame(schema=dict(QUARANTINE)),
        rows_read=len(corpus) + len(asked) + len(judged),
    )


def test_a_repeated_document_with_the_same_text_is_merged_and_counted():
    found = canonical_tables(source_tables([("d1", None, "one"), ("d1", None, "one"), ("d2", None, "two")]), STRICT)
    assert found.corpus.get_column("doc_id").to_list() == ["d1", "d2"]
    assert (found.facts.documents_read, found.facts.documents, found.facts.documents_merged) == (3, 2, 1)


@pytest.mark.parametrize("other", [("d1", None, "uno"), ("d1", "Title", "one")])
def test_one_id_for_two_texts_stops_and_names_both_lines(other):
    tables = source_tables([("d1", None, "one"), ("d2", None, "two"), other])
    with pytest.raises(InputError, match=r"doc_id 'd1' stands for two different texts: corpus:1 and corpus:3\."):
        canonical_tables(tables, LAX)


def test_one_query_id_for_two_texts_stops_too():
    tables = source_tables(queries=[("q1", "first", "train"), ("q1", "First", "train")])
    with pytest.raises(InputError, match=r"query_id 'q1' .* queries:1 and queries:2"):
        canonical_tables(tables, LAX)


def test_a_query_in_two_splits_is_held_out():
    for rows in (
        [("q1", "first", "train"), ("q1", "first", "test")],
        [("q1", "first", "test"), ("q1", "first", "train")],
    ):
        found = canonical_tables(source_tables(queries=rows), STRICT)
        assert found.queries.select("query_id", "split").rows() == [("q1", "test")]


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b", "\ufeff \u00a0"])
def test_an_empty_document_is_no_candidate_and_no_fault(text):
    qrels = [("q1", "d0", 1, "train"), ("q1", "d1", 1, "train")]
    found = canonical_tables(source_tables([("d0", None, text), ("d1", None, "one")], qrels=qrels), STRICT)
    assert found.corpus.get_column("doc_id").to_list() == ["d1"]
    assert found.quarantine.select("file", "line", "reason").rows() == [("corpus", 1, EMPTY)]
    assert (found.facts.documents_empty, found.facts.qrels_of_empty_documents, found.facts.qrels) == (1, 1, 1)


def test_a_document_of_a_title_alone_is_kept():
    found = canonical_tables(source_tables([("d1", "Title", ""), ("d2", None, "x")]), STRICT)
    assert found.corpus.get_column("doc_id").to_list() == ["d1", "d2"]
    assert found.corpus.get_column("text_sha256")[0] == text_digest("title")


def test_judgements_of_what_is_missing_are_set_aside_counted_and_named():
    qrels = [("q1", "d1", 1, "train"), ("q9", "d1", 1, "train"), ("q1", "d9", 1, "train"), ("q9", "d9", 1, "train")]
    found = canonical_tables(source_tables(qrels=qrels), LAX)
    assert found.qrels.rows() == [("q1", "d1", 1, "train", None)]
    assert sorted(found.quarantine.select("line", "column", "reason").rows()) == [
        (2, "query_id", NO_QUERY),
        (3, "doc_id", NO_DOCUMENT),
        (4, "query_id", NO_QUERY),
    ]
    assert (found.facts.missing_documents, found.facts.missing_queries) == (["d9"], ["q9"])
    with pytest.raises(InputError, match=r"3 of 8 rows.*qrels:2.*1 judgements name documents .*\(d9\).*id_width"):
        canonical_tables(source_tables(qrels=qrels), STRICT)


def test_of_two_relevances_the_highest_is_kept_and_splits_stay_apart():
    qrels = [("q1", "d1", 0, "train"), ("q1", "d1", 2, "train"), ("q1", "d1", 2, "train"), ("q1", "d1", 1, "test")]
    found = canonical_tables(source_tables(qrels=qrels), STRICT)
    assert found.qrels.rows() == [("q1", "d1", 1, "test", None), ("q1", "d1", 2, "train", None)]
    assert (found.facts.qrels_merged, found.facts.qrels_conflicting) == (2, 1)


def test_negative_relevance_is_kept_and_is_no_positive():
    found = canonical_tables(source_tables(qrels=[("q1", "d1", -1, "train")]), STRICT)
    assert found.qrels.row(0)[2] == -1
    assert found.facts.queries_without_positive == 2


def test_query_twins_stay_two_queries():
    found = canonical_tables(source_tables(queries=[("q1", "Same", "train"), ("q2", " same", "train")]), STRICT)
    assert found.queries.height == 2
    assert found.queries.get_column("text_sha256").n_unique() == 1


def test_ids_stay_byte_exact_and_their_look_alikes_are_counted(caplog):
    composed, split = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    found = canonical_tables(source_tables([(composed, None, "a"), (split, None, "b"), ("../x", None, "c")]), LAX)
    assert set(found.corpus.get_column("doc_id")) == {composed, split, "../x"}
    assert found.facts.colliding_ids == 1
    assert "look like another one" in caplog.text


def test_a_nul_character_is_a_bad_row():
    found = canonical_tables(source_tables([("d1", None, "one"), ("d2", None, "t\0o"), ("d\0", None, "x")]), LAX)
    assert found.corpus.get_column("doc_id").to_list() == ["d1"]
    assert found.quarantine.select("line", "reason").rows() == [(2, NUL), (3, NUL)]


def test_nothing_left_is_an_error():
    with pytest.raises(InputError, match="holds no document"):
        canonical_tables(source_tables([], qrels=[]), LAX)
    with pytest.raises(InputError, match="holds no query"):
        canonical_tables(source_tables(queries=[], qrels=[]), LAX)


IDS = st.sampled_from(["a", "b", "c"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(IDS, st.none(), st.just("text")), min_size=1, max_size=6),
    st.lists(st.tuples(IDS, st.just("query"), st.sampled_from(["train", "test"])), min_size=1, max_size=6),
    st.lists(st.tuples(IDS, IDS, st.integers(-1, 2), st.sampled_from(["train", "test"])), max_size=8),
    st.randoms(),
)
def test_every_row_is_accounted_for_in_any_order(documents, queries, qrels, random):
    found = canonical_tables(source_tables(documents, queries, qrels), LAX)
    facts = found.facts
    assert facts.documents_read == facts.documents + facts.documents_merged + facts.documents_empty
    assert facts.queries_read == facts.queries + facts.queries_merged
    assert facts.qrels_read == (
        facts.qrels
        + facts.qrels_merged
        + facts.qrels_of_empty_documents
        + facts.qrels_missing_document
        + facts.qrels_missing_query
    )
    for rows in (documents, queries, qrels):
        random.shuffle(rows)
    again = canonical_tables(source_tables(documents, queries, qrels), LAX)
    for table in ("corpus", "queries", "qrels"):
        assert getattr(found, table).equals(getattr(again, table))
