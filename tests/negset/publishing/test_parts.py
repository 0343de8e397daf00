import polars as pl
import pytest

from negset.publishing import parts
from negset.publishing.parts import cut, read_parts, whole_queries, write_parts
from negset.tables import write_table


@pytest.mark.parametrize(
    ("ids", "rows", "sizes"),
    [
        ("aabbcc", 2, [2, 2, 2]),
        ("aabbcc", 3, [4, 2]),  # never between the two b
        ("aaaaaa", 1, [6]),
        ("abc", 10, [3]),
        ("", 3, [0]),
    ],
)
def test_a_key_is_never_divided(ids, rows, sizes):
    frame = pl.DataFrame({"query_id": list(ids)}, schema={"query_id": pl.String})
    slices = list(cut(frame, "query_id", rows))
    assert [part.height for part in slices] == sizes
    assert pl.concat(slices).equals(frame)


def test_tables_are_cut_into_files_and_read_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 2)
    frame = pl.DataFrame({"doc_id": ["c", "a", "b"], "title": [None, "T", ""], "text": ["3", "1", "2"]})
    write_parts(frame, "documents", tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.parquet")) == ["part-00000.parquet", "part-00001.parquet"]
    assert read_parts(tmp_path, "documents").equals(frame.sort("doc_id"))


def test_a_query_in_two_files_comes_whole(tmp_path):
    folder = tmp_path / "data" / "qrels"
    folder.mkdir(parents=True)
    schema = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "split": pl.String}
    schema |= {"judged_at": pl.Datetime("us", "UTC")}
    files = [[("a", "1"), ("b", "1")], [("b", "2")], [("b", "3"), ("c", "1")]]
    for number, rows in enumerate(files):
        frame = pl.DataFrame([(*row, 1, "train", None) for row in rows], schema=schema, orient="row")
        write_table(frame, "qrels", folder / f"part-{number:05d}.parquet")
    seen = [part.get_column("query_id").to_list() for part in whole_queries(tmp_path, "qrels")]
    assert seen == [["a"], [], ["b", "b", "b"], ["c"]]
