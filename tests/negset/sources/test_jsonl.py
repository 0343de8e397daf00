from datetime import UTC, datetime

import pytest

from negset.errors import InputError
from negset.sources.reading import read_source
from schemas.config import ColumnsConfig, SourceConfig

FILES = {
    "corpus.jsonl": '{"key": "a", "body": "one", "when": "2024-01-02", "views": 3}\n{"key": "b", "body": "two"}\n',
    "queries.jsonl": '{"query_id": "q", "text": "what", "split": "dev"}\n',
    "qrels.jsonl": '{"query_id": "q", "key": "a"}\n',
}
COLUMNS = ColumnsConfig(doc_id="key", doc_text="body", created_at="when")


def test_columns_are_mapped_and_the_rest_is_metadata(files):
    tables = read_source(SourceConfig(format="jsonl", path=files(FILES), columns=COLUMNS))
    assert tables.corpus.drop("file", "line", "version_at").rows() == [
        ("a", None, "one", datetime(2024, 1, 2, tzinfo=UTC), '{"views":3}'),
        ("b", None, "two", None, None),
    ]
    assert tables.queries.row(0)[:3] == ("q", "what", "dev")
    assert tables.qrels.select("query_id", "doc_id", "relevance", "split").rows() == [("q", "a", 1, "dev")]


def test_a_missing_column_is_one_clear_error(files):
    with pytest.raises(InputError, match=r"corpus\.jsonl lacks the column 'doc_id', 'text'.*it has key, body"):
        read_source(SourceConfig(format="jsonl", path=files(FILES)))


def test_a_bad_date_is_a_bad_row(files):
    folder = files({**FILES, "corpus.jsonl": '{"key": "a", "body": "x", "when": "soon"}\n'})
    tables = read_source(SourceConfig(format="jsonl", path=folder, columns=COLUMNS, max_bad_share=1))
    assert tables.quarantine.select("line", "column", "reason").rows() == [(1, "when", "'soon' is no ISO date or time")]
