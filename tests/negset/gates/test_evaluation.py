"""Evaluation files are read as what they are, and a file that is none says why."""

import json

import polars as pl
import pytest

from negset.errors import InputError
from negset.gates.evaluation import evaluation_content, read_evaluation


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_three_kinds_of_files(tmp_path):
    table = tmp_path / "bench.parquet"
    pl.DataFrame({"query_id": [7, 8], "question": ["Why?", None], "answer": ["a", "b"]}).write_parquet(table)
    paths = [
        write(tmp_path, "bench.txt", "\ufeffwhat is red\r\n\n  how to swim \n"),
        write(tmp_path, "bench.jsonl", lines({"_id": 3, "text": "Line\u2028one"}, {"text": "two", "extra": [1]})),
        str(table),
    ]
    assert read_evaluation(paths).select("file", "id", "text").rows() == [
        ("bench.txt", None, "what is red"),
        ("bench.txt", None, "how to swim"),
        ("bench.jsonl", "3", "Line\u2028one"),
        ("bench.jsonl", None, "two"),
        ("bench.parquet", "7", "Why?"),
    ]


def test_no_file_is_no_text():
    assert read_evaluation([]).height == 0
    assert evaluation_content([]) == ""


def test_content_is_that_of_the_texts_whatever_the_place_and_order(tmp_path):
    first = write(tmp_path, "a.txt", "one\ntwo\n")
    again = write(tmp_path, "b.txt", "two\n\none\n")
    other = write(tmp_path, "c.txt", "one\ntwo\nthree\n")
    assert evaluation_content([first]) == evaluation_content([again])
    assert evaluation_content([first]) != evaluation_content([other])
    named = write(tmp_path, "d.jsonl", lines({"id": "x", "text": "one"}, {"text": "two"}))
    assert evaluation_content([first]) != evaluation_content([named])


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("a.csv", "x", "must end in .txt, .jsonl or .parquet"),
        ("a.txt", b"\xff\xfe", "is not UTF-8"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("a.jsonl", '{"title": "x"}\n', "one of them must be text, query"),
        ("a.parquet", "x", "is no Parquet file"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, name, data, complaint):
    with pytest.raises(InputError, match=complaint):
        read_evaluation([write(tmp_path, name, data)])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt.*does not exist"):
        read_evaluation([str(tmp_path / "nowhere.txt")])
