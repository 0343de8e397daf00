import gzip
import json

import fsspec
import polars as pl

from negset.sources.reading import read_source, source_fingerprint
from schemas.config import SourceConfig

CORPUS = '{"_id": "0042", "title": "T", "text": "one"}\n{"_id": "1e5", "text": "two"}\n{"_id": "NA", "text": "three"}\n'
QUERIES = '{"_id": "q1", "text": "first", "metadata": {"lang": "en"}}\n{"_id": "007", "text": "second"}\n'
HEAD = "query-id\tcorpus-id\tscore\n"
SMALL = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.tsv": HEAD + "q1\t0042\t1\n007\t1e5\t2\n"}


def beir(path: str, **options: object) -> SourceConfig:
    return SourceConfig.model_validate({"format": "beir", "path": path, **options})


def test_a_folder_is_read_whole(files):
    tables = read_source(beir(files(SMALL)))
    assert tables.corpus.select("doc_id", "title", "text").rows() == [
        ("0042", "T", "one"),
        ("1e5", None, "two"),
        ("NA", None, "three"),
    ]
    assert tables.queries.select("query_id", "text", "split", "metadata").rows() == [
        ("q1", "first", "test", '{"lang":"en"}'),
        ("007", "second", "test", None),
    ]
    assert tables.qrels.select("query_id", "doc_id", "relevance", "split").rows() == [
        ("q1", "0042", 1, "test"),
        ("007", "1e5", 2, "test"),
    ]
    assert tables.rows_read == 7
    assert tables.quarantine.is_empty()


def test_stray_quotes_and_number_like_ids_survive_in_tsv(files):
    """The golden file of M17: readers with CSV quoting give three of these five rows."""
    golden = 'q"1\t0042\t1\nq2\t1e5\t1\n"q3\tNA\t1\nq4\tnull\t0\nq5"\t"x"\t1\n'
    tables = read_source(beir(files({**SMALL, "qrels/test.tsv": HEAD + golden})))
    assert tables.qrels.select("query_id", "doc_id", "relevance").rows() == [
        ('q"1', "0042", 1),
        ("q2", "1e5", 1),
        ('"q3', "NA", 1),
        ("q4", "null", 0),
        ('q5"', '"x"', 1),
    ]


def test_the_split_of_a_query_is_that_of_its_judgements(files):
    queries = "".join(json.dumps({"_id": f"q{number}", "text": f"t {number}"}) + "\n" for number in range(4))
    tables = read_source(
        beir(
            files(
                {
                    "corpus.jsonl": CORPUS,
                    "queries.jsonl": queries,
                    "qrels/train.tsv": HEAD + "q0\tNA\t1\nq2\tNA\t1\n",
                    "qrels/test.tsv": HEAD + "q1\tNA\t1\nq2\t0042\t1\n",
                }
            )
        )
    )
    assert dict(tables.queries.select("query_id", "split").rows()) == {
        "q0": "train",
        "q1": "test",
        "q2": "test",  # judged in both: a held-out query is never trained on
        "q3": "unlabelled",
    }


def test_line_ends_byte_order_mark_and_separators_inside_json(files):
    corpus = '\ufeff{"_id": "a", "text": "x\u2028y"}\r\n\r\n{"_id": "b", "text": "z"}'
    tables = read_source(beir(files({**SMALL, "corpus.jsonl": corpus, "qrels/test.tsv": HEAD + "q1\ta\t1\r\n"})))
    assert tables.corpus.select("doc_id", "text", "line").rows() == [("a", "x\u2028y", 1), ("b", "z", 3)]
    assert tables.qrels.row(0)[:3] == ("q1", "a", 1)


def test_bad_rows_are_named_by_file_line_column_and_reason(files):
    corpus = (
        b'{"_id": "a", "text": "ok"}\n{"_id": "b", "text": "\xff"}\n{"_id": 1.5, "text": "x"}\n'
        b'{"text": "x"}\nnot json\n{"_id": "c", "text": "\\ud800"}\n{"_id": "d", "text": NaN}\n'
        b'{"_id": "e", "text": ["x"]}\n'
    )
    qrels = HEAD + "q1\ta\t1\nq1\ta\nq1\ta\t1.0\nq1\ta\thigh\nq1\t\t1\n"
    folder = files({**SMALL, "corpus.jsonl": corpus, "qrels/test.tsv": qrels})
    tables = read_source(beir(folder, max_bad_share=1))
    assert tables.quarantine.select("file", "line", "column", "reason").rows() == [
        ("corpus.jsonl", 2, None, "invalid UTF-8 at byte 23: invalid start byte"),
        ("corpus.jsonl", 3, "_id", "id is a float, not a string"),
        ("corpus.jsonl", 4, "_id", "no id"),
        ("corpus.jsonl", 5, None, "not JSON: Expecting value at character 1"),
        ("corpus.jsonl", 6, None, "lone surrogate U+D800"),
        ("corpus.jsonl", 7, None, "not JSON: NaN is no JSON number"),
        ("corpus.jsonl", 8, "text", "text is a list, not a string"),
        ("qrels/test.tsv", 3, None, "2 columns between tabs, not 3"),
        ("qrels/test.tsv", 4, "relevance", "relevance '1.0' is no whole number"),
        ("qrels/test.tsv", 5, "relevance", "relevance 'high' is no whole number"),
        ("qrels/test.tsv", 6, "doc_id", "no id"),
    ]
    kept = tables.corpus.height + tables.queries.height + tables.qrels.height
    assert tables.rows_read == kept + tables.quarantine.height


def test_remote_and_gzipped_files_give_the_same_rows(files):
    memory = fsspec.filesystem("memory")
    for name, text in SMALL.items():
        packed = name.endswith("jsonl")
        memory.pipe(f"/beir/{name}{'.gz' if packed else ''}", gzip.compress(text.encode()) if packed else text.encode())
    here, there = read_source(beir(files(SMALL))), read_source(beir("memory://beir"))
    for table in ("corpus", "queries", "qrels"):
        assert getattr(here, table).drop("file").equals(getattr(there, table).drop("file"))
    memory.rm("/beir", recursive=True)


def test_the_fingerprint_follows_bytes_and_options_but_not_the_place(files, tmp_path):
    first = source_fingerprint(beir(files(SMALL)))
    other = tmp_path / "moved"
    (tmp_path / "source").rename(other)
    assert source_fingerprint(beir(str(other))) == first
    assert source_fingerprint(beir(str(other), split="dev")) != first
    assert source_fingerprint(beir(str(other), partitions=2)) != first
    (other / "queries.jsonl").write_text(QUERIES.replace("second", "2nd"))
    assert source_fingerprint(beir(str(other))) != first


def test_blocks_of_rows_are_joined(files, monkeypatch):
    monkeypatch.setattr("negset.sources.tables.PACKED", 2)
    tables = read_source(beir(files(SMALL)))
    assert tables.corpus.get_column("doc_id").to_list() == ["0042", "1e5", "NA"]
    assert tables.corpus.schema["created_at"] == pl.Datetime("us", "UTC")
