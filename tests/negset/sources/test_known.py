"""What was known at a time: rows of another time are left out, counted, and neither bad nor missing."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from negset.canonical import canonical_tables
from negset.errors import InputError
from negset.snapshot import snapshot_content
from negset.sources.reading import read_source, source_fingerprint
from schemas.config import ColumnsConfig, SourceConfig

TIME = pl.Datetime("us", "UTC")
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
CORPUS = {"doc_id": pl.String, "text": pl.String, "created_at": TIME}
QUERIES = {"query_id": pl.String, "text": pl.String, "asked_at": TIME}
QRELS = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "judged_at": TIME}


def at(day: int | None, second: int = 0) -> datetime | None:
    return None if day is None else datetime(2024, 6, day, 0, 0, second, tzinfo=UTC)


def write(folder: Path, corpus: list, queries: list, qrels: list, schema: dict | None = None) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows, columns in (
        ("corpus", corpus, schema or CORPUS),
        ("queries", queries, QUERIES),
        ("qrels", qrels, QRELS),
    ):
        pl.DataFrame(rows, schema=columns, orient="row").write_parquet(folder / f"{name}.parquet")
    return str(folder)


def canonical(path: str, as_of: str = "", **options):
    source = SourceConfig(format="parquet", path=path, as_of=as_of, **options)
    return canonical_tables(read_source(source), source)


@pytest.fixture
def dated(tmp_path):
    """Give a source of which only d1, d2, q1, q3 and two judgements were known on the 10th."""
    corpus = [("d1", "one", at(1)), ("d2", "two", at(10)), ("d3", "three", at(11))]
    queries = [("q1", "first", at(2)), ("q2", "second", at(20)), ("q3", "third", None)]
    qrels = [
        ("q1", "d1", 1, None),
        ("q1", "d2", 1, at(10)),
        ("q3", "d2", 1, at(11)),  # judged later
        ("q1", "d3", 1, None),  # its document is not born yet
        ("q2", "d1", 1, at(1)),  # its query is not asked yet
    ]
    return write(tmp_path / "dated", corpus, queries, qrels)


def test_only_what_was_known_is_left_and_the_rest_is_counted(dated):
    found = canonical(dated, "2024-06-10")
    assert found.corpus.get_column("doc_id").to_list() == ["d1", "d2"]
    assert found.queries.get_column("query_id").to_list() == ["q1", "q3"]
    assert found.qrels.select("query_id", "doc_id", "judged_at").rows() == [("q1", "d1", None), ("q1", "d2", at(10))]
    assert found.quarantine.is_empty()
    facts = found.facts
    assert (facts.documents_read, facts.documents, facts.documents_later) == (3, 2, 1)
    assert (facts.queries_read, facts.queries, facts.queries_later) == (3, 2, 1)
    assert (facts.qrels_read, facts.qrels, facts.qrels_later, facts.qrels_left_out) == (5, 2, 1, 2)
    assert (facts.qrels_missing_document, facts.missing_documents) == (0, [])


def test_a_dangling_judgement_is_no_later_one(dated, tmp_path):
    rows = [("q1", "d1", 1, None), ("q1", "d3", 1, None), ("q1", "d9", 1, None)]
    pl.DataFrame(rows, schema=QRELS, orient="row").write_parquet(Path(dated) / "qrels.parquet")
    facts = canonical(dated, "2024-06-10", max_bad_share=1).facts
    assert (facts.qrels_left_out, facts.qrels_missing_document, facts.missing_documents) == (1, 1, ["d9"])


@pytest.mark.parametrize(
    ("as_of", "documents"),
    [
        ("2024-06-09", ["d1"]),
        ("2024-06-10T00:00:00", ["d1", "d2"]),  # exactly then
        ("2024-06-09T23:59:59.999999Z", ["d1"]),
        ("2024-06-10T02:00:00+02:00", ["d1", "d2"]),
        ("2024-06-10T01:59:59+02:00", ["d1"]),
        ("", ["d1", "d2", "d3"]),
    ],
)
def test_a_moment_is_the_last_that_counts_and_a_date_is_its_end(dated, as_of, documents):
    assert canonical(dated, as_of).corpus.get_column("doc_id").to_list() == documents


def test_the_time_is_part_of_a_sources_name_and_the_same_time_is_the_same(dated):
    def name(**options):
        return source_fingerprint(SourceConfig(format="parquet", path=dated, **options))

    assert name(as_of="2024-06-10") == name(as_of="2024-06-10T23:59:59.999999+00:00")
    assert len({name(), name(as_of="2024-06-10"), name(as_of="2024-06-11"), name(undated="keep")}) == 4


@pytest.fixture
def half_dated(tmp_path):
    corpus = [("d1", "one", at(1)), ("d2", "two", None), ("d3", "three", at(11))]
    return write(tmp_path / "half", corpus, [("q1", "first", None)], [("q1", "d1", 1, None), ("q1", "d2", 1, None)])


def test_undated_documents_follow_the_policy(half_dated):
    with pytest.raises(InputError, match=r"1 of 2 documents have no date \(first: corpus.parquet:2\).*source\.undated"):
        canonical(half_dated, "2024-06-10")
    kept = canonical(half_dated, "2024-06-10", undated="keep")
    assert kept.corpus.get_column("doc_id").to_list() == ["d1", "d2"]
    dropped = canonical(half_dated, "2024-06-10", undated="drop")
    assert dropped.corpus.get_column("doc_id").to_list() == ["d1"]
    assert (dropped.facts.documents_undated, dropped.facts.documents_later, dropped.facts.qrels_left_out) == (1, 1, 1)
    assert canonical(half_dated, undated="fail").corpus.height == 3  # nobody asked when


def test_a_source_without_dates_cannot_say_what_was_known(tmp_path, caplog):
    path = write(tmp_path / "none", [("d1", "one", None)], [("q1", "first", None)], [("q1", "d1", 1, None)])
    with pytest.raises(InputError, match=r"1 of 1 documents have no date.*source\.columns\.created_at"):
        canonical(path, "2024-06-10")
    assert canonical(path, "2024-06-10", undated="keep").facts.documents == 1
    assert "1 of 1 documents have no date" in caplog.text
    with pytest.raises(InputError, match=r"no document was known as of .*; none has a date \(created_at\)"):
        canonical(path, "2024-06-10", undated="drop")


def test_a_time_before_everything_says_when_it_begins(dated):
    with pytest.raises(InputError, match=r"no document was known as of 2023-.*the earliest is of 2024-06-01"):
        canonical(dated, "2023-01-01")
    path = Path(dated) / "queries.parquet"
    pl.read_parquet(path).head(2).write_parquet(path)
    with pytest.raises(InputError, match=r"no query was known as of .*the earliest is of 2024-06-02"):
        canonical(dated, "2024-06-01")


def test_a_later_judgement_decides_no_split(tmp_path):
    """The query would be held out by a judgement that nobody had made yet."""
    path = write(tmp_path / "split", [("d1", "one", at(1))], [("q1", "first", at(1))], [])
    rows = [("q1", "d1", 1, at(1), "train"), ("q1", "d1", 1, at(20), "test")]
    pl.DataFrame(rows, schema={**QRELS, "split": pl.String}, orient="row").write_parquet(Path(path) / "qrels.parquet")
    assert canonical(path, "2024-06-10").queries.get_column("split").to_list() == ["train"]
    assert canonical(path).queries.get_column("split").to_list() == ["test"]


def test_of_two_judgements_the_highest_counts_and_of_two_dates_the_first(tmp_path):
    qrels = [("q1", "d1", 2, at(8)), ("q1", "d1", 2, at(5)), ("q1", "d1", 1, at(1))]
    path = write(tmp_path / "twice", [("d1", "one", at(1))], [("q1", "first", at(1))], qrels)
    assert canonical(path).qrels.select("relevance", "judged_at").rows() == [(2, at(5))]
    assert canonical(path, "2024-06-04").qrels.select("relevance", "judged_at").rows() == [(1, at(1))]


DAYS = st.integers(1, 9)
IDS = st.sampled_from(["a", "b", "c", "d"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(IDS, st.just("text"), DAYS.map(at)), min_size=1, max_size=6),
    st.lists(st.tuples(IDS, st.just("query"), st.none() | DAYS.map(at)), min_size=1, max_size=6),
    st.lists(st.tuples(IDS, IDS, st.integers(0, 2), st.none() | DAYS.map(at)), max_size=8),
    DAYS,
)
def test_as_of_equals_a_source_whose_later_rows_were_deleted(tmp_path, corpus, queries, qrels, day):
    limit = at(day)
    documents = [row for row in corpus if row[2] <= limit] or [("a", "text", limit)]
    asked = [row for row in queries if row[2] is None or row[2] <= limit] or [("a", "query", limit)]
    corpus, queries = corpus + documents, queries + asked  # at least one of each was known
    gone = {row[0] for row in corpus} - {row[0] for row in documents}
    unasked = {row[0] for row in queries} - {row[0] for row in asked}
    known = [row for row in qrels if row[3] is None or row[3] <= limit]
    judged = [row for row in known if row[0] not in unasked and row[1] not in gone]
    whole = canonical(write(tmp_path / "whole", corpus, queries, qrels), limit.isoformat(), max_bad_share=1)
    cut = canonical(write(tmp_path / "cut", documents, asked, judged), max_bad_share=1)
    assert snapshot_content(whole) == snapshot_content(cut)
    facts = whole.facts
    assert facts.documents_read == len(corpus) == facts.documents + facts.documents_merged + facts.documents_later
    assert facts.queries_read == len(queries) == facts.queries + facts.queries_merged + facts.queries_later
    assert facts.qrels_read == len(qrels)
    assert (facts.qrels_later, facts.qrels_left_out) == (len(qrels) - len(known), len(known) - len(judged))


VERSIONED = {"doc_id": pl.String, "text": pl.String, "created_at": TIME, "dump": TIME}
DUMPS = ColumnsConfig(version_at="dump")


@pytest.fixture
def versioned(tmp_path):
    """Give three versions: d1 changes in the second, d2 leaves in the second, d3 comes in the third."""
    corpus = [
        ("d1", "one", None, at(1)),
        ("d2", "two", None, at(1)),
        ("d1", "uno", None, at(5)),
        ("d1", "uno", None, at(9)),
        ("d3", "three", None, at(9)),
    ]
    qrels = [("q1", "d1", 1, None), ("q1", "d2", 1, None), ("q1", "d3", 1, None)]
    return write(tmp_path / "versions", corpus, [("q1", "first", None)], qrels, VERSIONED)


@pytest.mark.parametrize(
    ("versions", "as_of", "documents", "left_out"),
    [
        ("dumps", "2024-06-04", [("d1", "one", at(1)), ("d2", "two", at(1))], (3, 0, 1)),
        ("dumps", "2024-06-05", [("d1", "uno", at(1))], (2, 2, 2)),
        ("dumps", "", [("d1", "uno", at(1)), ("d3", "three", at(9))], (0, 3, 1)),
        ("changes", "2024-06-04", [("d1", "one", at(1)), ("d2", "two", at(1))], (3, 0, 1)),
        ("changes", "2024-06-05", [("d1", "uno", at(1)), ("d2", "two", at(1))], (2, 1, 1)),
        ("changes", "", [("d1", "uno", at(1)), ("d2", "two", at(1)), ("d3", "three", at(9))], (0, 2, 0)),
    ],
)
def test_the_newest_version_known_then_is_the_document(versioned, versions, as_of, documents, left_out):
    found = canonical(versioned, as_of, columns=DUMPS, versions=versions)
    assert found.corpus.select("doc_id", "text", "created_at").rows() == documents
    facts = found.facts
    assert (facts.documents_later, facts.documents_superseded, facts.qrels_left_out) == left_out
    assert (facts.documents_read, facts.quarantined, facts.documents_undated) == (5, 0, 0)
    assert found.corpus.get_column("metadata").null_count() == found.corpus.height  # the date is no metadata


def test_a_source_says_how_its_versions_can_be_read(versioned):
    with pytest.raises(InputError, match=r"two different texts.*source\.columns\.version_at"):
        canonical(versioned, "", max_bad_share=1)


def test_a_version_needs_its_time(versioned):
    with pytest.raises(InputError, match=r"lacks the column 'dmp' \(did you mean 'dump'\?\)"):
        canonical(versioned, columns=ColumnsConfig(version_at="dmp"))
    frame = pl.read_parquet(Path(versioned) / "corpus.parquet")
    frame.with_columns(dump=pl.when(pl.col("doc_id") != "d2").then("dump")).write_parquet(
        Path(versioned) / "corpus.parquet"
    )
    with pytest.raises(InputError, match=r"corpus.parquet:2: column 'dump': no time of this version"):
        canonical(versioned, columns=DUMPS)
