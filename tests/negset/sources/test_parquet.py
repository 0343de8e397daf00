from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from negset.errors import InputError
from negset.sources.reading import read_source
from schemas.config import ColumnsConfig, SourceConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pl.DataFrame(
        {
            "doc_id": [1, 2, 3],
            "text": ["one", None, "three"],
            "created_at": [date(2024, 1, 2), None, date(2024, 3, 4)],
            "score": [0.5, float("nan"), None],
            "tags": [["x"], [], None],
        }
    ).write_parquet(tmp_path / "corpus.parquet")
    pl.DataFrame(
        {"query_id": ["q1", "q2"], "text": ["a", "b"], "asked_at": [datetime(2024, 1, 1, 12)] * 2}
    ).write_parquet(tmp_path / "queries.parquet")
    pl.DataFrame({"query_id": ["q1"], "doc_id": [1], "relevance": [1.0], "split": ["dev"]}).write_parquet(
        tmp_path / "qrels.parquet"
    )
    return tmp_path


def test_tables_are_read_by_their_columns(folder):
    tables = read_source(SourceConfig(format="parquet", path=str(folder)))
    assert tables.corpus.drop("file", "version_at").rows() == [
        ("1", None, "one", datetime(2024, 1, 2, tzinfo=UTC), '{"score":0.5,"tags":["x"]}', 1),
        ("2", None, "", None, '{"score":null,"tags":[]}', 2),
        ("3", None, "three", datetime(2024, 3, 4, tzinfo=UTC), None, 3),
    ]
    assert tables.queries.get_column("split").to_list() == ["dev", "unlabelled"]
    assert tables.queries.get_column("asked_at").to_list() == [datetime(2024, 1, 1, 12, tzinfo=UTC)] * 2
    assert tables.qrels.select("query_id", "doc_id", "relevance", "split").rows() == [("q1", "1", 1, "dev")]


def test_a_missing_column_is_named_with_those_that_are_there(folder):
    columns = ColumnsConfig(doc_text="txt")
    with pytest.raises(InputError, match=r"lacks the column 'txt' \(did you mean 'text'\?\); it has doc_id, text"):
        read_source(SourceConfig(format="parquet", path=str(folder), columns=columns))


def test_nulls_and_fractions_are_bad_rows(folder):
    pl.DataFrame({"query_id": ["q1", None, "q2"], "doc_id": [1, 2, 3], "relevance": [0.5, 1, None]}).write_parquet(
        folder / "qrels.parquet"
    )
    tables = read_source(SourceConfig(format="parquet", path=str(folder), max_bad_share=1))
    assert tables.quarantine.select("file", "line", "column").rows() == [
        ("qrels.parquet", 1, "relevance"),
        ("qrels.parquet", 2, "query_id"),
        ("qrels.parquet", 3, "relevance"),
    ]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not parquet at all, but long enough to be looked at"])
def test_a_damaged_file_is_named(folder, damage):
    (folder / "queries.parquet").write_bytes(damage)
    with pytest.raises(InputError, match=r"queries\.parquet is no readable Parquet file"):
        read_source(SourceConfig(format="parquet", path=str(folder)))


def test_a_corpus_may_be_several_files(folder):
    (folder / "corpus").mkdir()
    whole = pl.read_parquet(folder / "corpus.parquet")
    whole[:1].write_parquet(folder / "corpus" / "a.parquet")
    whole[1:].write_parquet(folder / "corpus" / "b.parquet")
    (folder / "corpus.parquet").unlink()
    tables = read_source(SourceConfig(format="parquet", path=str(folder)))
    assert tables.corpus.select("doc_id", "file", "line").rows() == [
        ("1", "corpus/a.parquet", 1),
        ("2", "corpus/b.parquet", 1),
        ("3", "corpus/b.parquet", 2),
    ]


def test_broken_strings_inside_a_sound_file_are_found(folder):
    words = pa.array([b"one", b"\xff\xfe", b"three"], pa.binary())
    broken = pa.StringArray.from_buffers(3, words.buffers()[1], words.buffers()[2])
    pq.write_table(pa.table({"query_id": ["a", "b", "c"], "text": broken}), folder / "queries.parquet")
    with pytest.raises(InputError, match=r"queries\.parquet is no readable Parquet file: .*UTF8"):
        read_source(SourceConfig(format="parquet", path=str(folder)))
