import polars as pl
import pytest

from negset.errors import InputError
from negset.sources.pairs import text_id
from negset.sources.reading import read_source
from schemas.config import ColumnsConfig, SourceConfig

JSONL = '{"query": "how", "positive": "so"}\n{"query": "how", "positive": "thus"}\n{"query": "why", "positive": "so"}\n'
EXPECTED = [("how", "so"), ("how", "thus"), ("why", "so")]


def found(path: str, **options: object) -> list[tuple[str, str]]:
    tables = read_source(SourceConfig.model_validate({"format": "pairs", "path": path, "max_bad_share": 1, **options}))
    queries = dict(tables.queries.select("query_id", "text").rows())
    documents = dict(tables.corpus.select("doc_id", "text").rows())
    return [
        (queries[query], documents[document]) for query, document in tables.qrels.select("query_id", "doc_id").rows()
    ]


def test_json_lines_tsv_and_parquet_say_the_same(files, tmp_path):
    assert found(files({"pairs.jsonl": JSONL}) + "/pairs.jsonl") == EXPECTED
    assert (
        found(
            files({"a.tsv": "query\tpositive\nhow\tso\nhow\tthus\nwhy\tso\n"}) + "/a.tsv",
            columns={"query_text": "query"},
        )
        == EXPECTED
    )
    assert found(files({"b.tsv": "how\tso\nhow\tthus\nwhy\tso\n"}) + "/b.tsv") == EXPECTED
    pl.DataFrame(EXPECTED, schema=["anchor", "positive"], orient="row").write_parquet(tmp_path / "pairs.parquet")
    assert found(str(tmp_path / "pairs.parquet")) == EXPECTED


def test_one_text_is_one_query(files):
    tables = read_source(SourceConfig(format="pairs", path=files({"pairs.jsonl": JSONL})))
    assert tables.queries.get_column("query_id").n_unique() == 2
    assert tables.corpus.get_column("doc_id").n_unique() == 2
    assert tables.queries.get_column("query_id")[0] == text_id("q", "how")


def test_other_column_names_and_splits(files):
    folder = files({"x.jsonl": '{"ask": "how", "tell": "so", "part": "dev"}\n'})
    columns = ColumnsConfig(query_text="ask", positive="tell", split="part")
    tables = read_source(SourceConfig(format="pairs", path=folder, columns=columns))
    assert tables.queries.get_column("split").to_list() == ["dev"]
    assert tables.qrels.get_column("split").to_list() == ["dev"]


def test_empty_texts_are_bad_rows_and_missing_columns_an_error(files):
    folder = files({"x.jsonl": '{"query": "how", "positive": " "}\n{"query": "", "positive": "x"}\n'})
    tables = read_source(SourceConfig(format="pairs", path=folder, max_bad_share=1))
    assert tables.quarantine.select("line", "column").rows() == [(1, "positive"), (2, "query")]
    with pytest.raises(InputError, match=r"lacks the column 'positive'; it has query, answer"):
        found(files({"x.jsonl": '{"query": "how", "answer": "x"}\n'}))
