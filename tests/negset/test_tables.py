"""Parquet is written in one way: sorted, typed, checked, the same bytes for the same rows."""

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset import tables
from negset.errors import ArtifactError, ContractError, MissingColumnsError
from negset.tables import read_table, write_table
from schemas.frames import FATES, KEYS, REGISTERED

_SCORES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float32}))
_ROWS = [
    ("q1", "kept", None, 2, 2, 9, "train"),
    ("q2", "short", "margin", 2, 1, 7, "train"),
    ("q3", "kept", None, 2, 2, 8, "test"),
]


def _fates(rows=_ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FATES.names, schema_overrides={"reason": pl.String}, orient="row")


def test_rows_come_back_sorted_and_in_the_registered_types(tmp_path):
    assert write_table(_fates(_ROWS[::-1]), "fates", tmp_path / "a.parquet") == 3
    assert pq.read_schema(tmp_path / "a.parquet").equals(FATES)
    found = read_table(tmp_path / "a.parquet")
    assert found.select("query_id", "got").rows() == [("q1", 2), ("q2", 1), ("q3", 2)]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(len(_ROWS))), cuts=st.integers(1, 3))
def test_the_bytes_know_nothing_of_row_order_and_chunks(tmp_path_factory, order, cuts):
    folder = tmp_path_factory.mktemp("bytes")
    write_table(_fates(), "fates", folder / "a.parquet")
    shuffled = [_ROWS[place] for place in order]
    chunked = pl.concat([_fates(shuffled[:cuts]), _fates(shuffled[cuts:])], rechunk=False)
    write_table(chunked, "fates", folder / "b.parquet")
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


def test_a_null_where_none_may_be_is_refused(tmp_path):
    with pytest.raises(ContractError, match="nulls in 'wanted'"):
        write_table(_fates([("q1", "kept", None, None, 2, 9, "train")]), "fates", tmp_path / "a.parquet")


def test_a_repeated_key_is_refused(tmp_path):
    with pytest.raises(ContractError, match="repeats its key"):
        write_table(_fates([_ROWS[0], _ROWS[0]]), "fates", tmp_path / "a.parquet")


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(MissingColumnsError, match="lacks got"):
        write_table(_fates().drop("got"), "fates", tmp_path / "a.parquet")


def test_a_footer_holds_no_document(tmp_path):
    secret = "no statistic may copy this text into the footer"
    frame = pl.DataFrame({"doc_id": ["d1"], "title": ["t"], "text": [secret]})
    write_table(frame, "documents", tmp_path / "a.parquet")
    column = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    described = {column.column(place).path_in_schema: column.column(place).statistics for place in range(3)}
    assert described["doc_id"] is not None
    assert described["text"] is None


def test_a_damaged_page_is_an_artifact_error_with_the_path(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(
        _fates([(f"q{place:05}", "kept", None, 2, place % 7, place, "train") for place in range(5000)]), "fates", path
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"a\.parquet"):
        read_table(path)


@pytest.mark.parametrize("table", sorted(REGISTERED))
def test_every_table_has_a_key_of_its_own_columns(table):
    assert set(KEYS[table]) <= set(REGISTERED[table].names)


def test_rows_that_are_said_to_be_sorted_are_checked(tmp_path):
    write_table(_fates(), "fates", tmp_path / "as-is.parquet", presorted=True)
    write_table(_fates(_ROWS[::-1]), "fates", tmp_path / "sorted.parquet")
    assert (tmp_path / "as-is.parquet").read_bytes() == (tmp_path / "sorted.parquet").read_bytes()
    for wrong in ([_ROWS[1], _ROWS[0]], [_ROWS[0], _ROWS[0]]):
        with pytest.raises(ContractError, match="not in the order of its key"):
            write_table(_fates(wrong), "fates", tmp_path / "wrong.parquet", presorted=True)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 25))
def test_a_file_written_a_group_at_a_time_is_the_file_written_at_once(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("groups")
    cut = [(f"q{place:02}", ("kept", "short")[place % 2], None, 2, 1, place, "train") for place in range(rows)]
    frame = _fates(cut).with_columns(pl.col("fate").cast(pl.Enum(["kept", "short", "dropped"])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP", 10)
        write_table(frame, "fates", folder / "a.parquet")
        with tables.open_table("fates", folder / "b.parquet") as file:
            for part in frame.iter_slices(10):
                tables.write_group(file, part, "fates")
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()
    assert pq.read_metadata(folder / "a.parquet").num_row_groups == -(-rows // 10)


def test_only_what_repeats_is_coded_as_a_dictionary(tmp_path):
    rows = 500
    frame = pl.DataFrame(
        {
            "query_id": [f"q{row // 50:03}" for row in range(rows)],
            "doc_id": [f"d{row:03}" for row in range(rows)],
            "miner": "dense",
            "rank": [row % 50 + 1 for row in range(rows)],
            "score": [row / 1000 for row in range(rows)],
            "positive_score": 0.9,
            "is_positive": False,
            "scores": [[{"name": "dense", "value": row / 1000}] for row in range(rows)],
            "rejected_by": None,
            "rejected_value": [row / 1000 for row in range(rows)],
            "rejected_threshold": 0.8,
            "relabelled": False,
            "position": None,
        },
        schema_overrides={"rejected_by": pl.String, "position": pl.Int32},
    )
    write_table(frame, "candidates", tmp_path / "a.parquet")
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    coded = {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings}
    assert {"query_id", "miner", "rank", "scores.list.element.name"} <= coded
    assert not coded & {"doc_id", "score", "positive_score", "scores.list.element.value", "rejected_value"}
    assert (
        read_table(tmp_path / "a.parquet")
        .select("doc_id", "score", "scores")
        .equals(frame.select("doc_id", pl.col("score").cast(pl.Float32), pl.col("scores").cast(_SCORES)))
    )
