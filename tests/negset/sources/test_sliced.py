"""A partition of a source: one table is cut, and the judgements go with it."""

import polars as pl
import pytest

from negset.errors import ConfigError, InputError, NoDataError
from negset.snapshot import build_snapshot, open_snapshot
from schemas.config import ColumnsConfig, SourceConfig
from schemas.partitions import SliceConfig

JANUARY = {"start": "2024-01-01", "end": "2024-02-01"}


@pytest.fixture
def source(tmp_path):
    """Two queries of January and two of February; r2 was judged in both months."""

    def write(extra_queries=(), extra_qrels=()):
        pl.DataFrame({"doc_id": ["a", "b", "c", "d"], "text": ["one", "two", "three", "four"]}).with_columns(
            release=pl.Series(["v1", "v1", "v2", "v2"]), size=pl.Series([1, 2, 1, 2])
        ).write_parquet(tmp_path / "corpus.parquet")
        queries = [
            ("q1", "ask one", "2024-01-01T00:00:00Z", "de"),
            ("q2", "ask two", "2024-01-31T23:59:59Z", "en"),
            ("r1", "ask three", "2024-02-01T00:00:00Z", "de"),
            ("r2", "ask four", "2024-02-03T00:00:00Z", "en"),
            *extra_queries,
        ]
        schema = ["query_id", "text", "when", "language"]
        pl.DataFrame(queries, schema=schema, orient="row").write_parquet(tmp_path / "queries.parquet")
        qrels = [
            ("q1", "a", 1, "2024-01-02"),
            ("q2", "b", 1, "2024-01-31"),
            ("r1", "c", 1, "2024-02-02"),
            ("r2", "c", 1, "2024-01-30"),
            ("r2", "d", 1, "2024-02-04"),
            *extra_qrels,
        ]
        schema = ["query_id", "doc_id", "relevance", "judged_at"]
        pl.DataFrame(qrels, schema=schema, orient="row").write_parquet(tmp_path / "qrels.parquet")
        return SourceConfig(format="parquet", path=str(tmp_path), columns=ColumnsConfig(asked_at="when"))

    return write


def opened(source, store, **wanted):
    return open_snapshot(store, build_snapshot(source.model_copy(update={"slice": SliceConfig(**wanted)}), store))


def ids(snapshot):
    pairs = snapshot.qrels().select("query_id", "doc_id").rows()
    return snapshot.documents()["doc_id"].to_list(), snapshot.queries()["query_id"].to_list(), pairs


def test_queries_of_a_period_come_with_their_judgements_and_the_whole_corpus(source, store):
    found = ids(opened(source(), store, column="queries.when", **JANUARY))
    assert found == (["a", "b", "c", "d"], ["q1", "q2"], [("q1", "a"), ("q2", "b")])


def test_documents_of_a_release_come_with_their_judgements_and_all_queries(source, store):
    found = ids(opened(source(), store, column="corpus.release", equals="v1"))
    assert found == (["a", "b"], ["q1", "q2", "r1", "r2"], [("q1", "a"), ("q2", "b")])


def test_a_value_that_is_no_text_is_compared_as_it_is_written(source, store):
    assert ids(opened(source(), store, column="corpus.size", equals="1"))[0] == ["a", "c"]


def test_a_query_judged_in_a_period_brings_the_positives_of_other_periods(source, store):
    # Without them `d`, a positive of February, could be a negative of r2 in January.
    found = ids(opened(source(), store, column="qrels.judged_at", **JANUARY))
    assert found == (
        ["a", "b", "c", "d"],
        ["q1", "q2", "r2"],
        [("q1", "a"), ("q2", "b"), ("r2", "c"), ("r2", "d")],
    )


def test_rows_of_other_partitions_change_nothing_and_none_is_missing(source, store):
    before = opened(source(), store, column="queries.when", **JANUARY)
    late = source([("r3", "ask five", "2024-02-09T00:00:00Z", "en")], [("r3", "d", 1, "2024-02-09")])
    after = opened(late, store, column="queries.when", **JANUARY)
    assert before.content == after.content
    assert before.facts == after.facts
    assert after.facts.quarantined == after.facts.qrels_missing_query == 0


def test_a_judgement_of_what_the_source_lacks_is_still_counted(source, store):
    broken = source(extra_qrels=[("nobody", "a", 1, "2024-01-09"), ("q1", "nothing", 1, "2024-01-09")])
    found = opened(broken.model_copy(update={"max_bad_share": 1.0}), store, column="queries.when", **JANUARY)
    assert (found.facts.qrels_missing_query, found.facts.qrels_missing_document) == (1, 1)


def test_a_partition_without_rows_is_no_fault_of_the_file(source, store):
    with pytest.raises(NoDataError, match=r"none of 4 rows of the queries belongs to fr \(queries.language\)"):
        opened(source(), store, column="queries.language", equals="fr")
    assert issubclass(NoDataError, InputError)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"column": "queries.langage", "equals": "de"}, "did you mean 'language'"),
        ({"column": "qrels.judge", "equals": "x"}, "judgements have no column"),
        ({"column": "queries.language", **JANUARY}, "'de' is no ISO date"),
        ({"column": "queries.split", **JANUARY}, "holds no times"),
    ],
)
def test_a_column_that_cannot_carry_partitions_is_refused(source, store, wanted, message):
    with pytest.raises(ConfigError, match=message):
        opened(source(), store, **wanted)
