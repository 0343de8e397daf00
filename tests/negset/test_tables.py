"""Parquet is written in one way: sorted, typed, checked, the same bytes for the same rows."""

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset import tables
from negset.errors import ArtifactError, ContractError, MissingColumnsError
from negset.tables import read_table, write_table
from schemas.frames import CANDIDATES, KEYS, REGISTERED

_ROWS = [("q1", "d2", "dense", 1, 0.9), ("q1", "d1", "dense", 2, 0.5), ("q2", "d1", "bm25", 1, 7.25)]
_COLUMNS = ["query_id", "doc_id", "miner", "rank", "score"]


def _cells(rows=_ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def test_rows_come_back_sorted_and_in_the_registered_types(tmp_path):
    assert write_table(_cells(_ROWS[::-1]), "cell", tmp_path / "a.parquet") == 3
    assert pq.read_schema(tmp_path / "a.parquet").equals(CANDIDATES)
    found = read_table(tmp_path / "a.parquet")
    assert found.select("query_id", "doc_id").rows() == [("q1", "d2"), ("q1", "d1"), ("q2", "d1")]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(len(_ROWS))), cuts=st.integers(1, 3))
def test_the_bytes_know_nothing_of_row_order_and_chunks(tmp_path_factory, order, cuts):
    folder = tmp_path_factory.mktemp("bytes")
    write_table(_cells(), "cell", folder / "a.parquet")
    shuffled = [_ROWS[place] for place in order]
    chunked = pl.concat([_cells(shuffled[:cuts]), _cells(shuffled[cuts:])], rechunk=False)
    write_table(chunked, "cell", folder / "b.parquet")
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


def test_a_null_where_none_may_be_is_refused(tmp_path):
    with pytest.raises(ContractError, match="nulls in 'score'"):
        write_table(_cells([("q1", "d1", "dense", 1, None)]), "cell", tmp_path / "a.parquet")


def test_a_repeated_key_is_refused(tmp_path):
    with pytest.raises(ContractError, match="repeats its key"):
        write_table(_cells([_ROWS[0], _ROWS[0]]), "cell", tmp_path / "a.parquet")


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(MissingColumnsError, match="lacks score"):
        write_table(_cells().drop("score"), "cell", tmp_path / "a.parquet")


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
    write_table(_cells([(f"q{place:05}", "d", "dense", 1, place / 7) for place in range(5000)]), "cell", path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"a\.parquet"):
        read_table(path)


@pytest.mark.parametrize("table", sorted(REGISTERED))
def test_every_table_has_a_key_of_its_own_columns(table):
    assert set(KEYS[table]) <= set(REGISTERED[table].names)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 25))
def test_a_file_written_a_group_at_a_time_is_the_file_written_at_once(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("groups")
    kind = pl.Enum(["dense", "bm25"])
    cells = [(f"q{place:02}", "d", ("dense", "bm25")[place % 2], 1, place / 7) for place in range(rows)]
    frame = _cells(cells).with_columns(pl.col("miner").cast(kind))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP", 10)
        write_table(frame, "cell", folder / "a.parquet")
        with tables.open_table("cell", folder / "b.parquet") as file:
            for part in frame.iter_slices(10):
                tables.write_group(file, part, "cell")
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()
    assert pq.read_metadata(folder / "a.parquet").num_row_groups == -(-rows // 10)
