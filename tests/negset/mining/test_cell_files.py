"""Keys tell documents and queries apart, and find them again."""

import numpy as np
import polars as pl
import pytest

from negset.mining.cell_files import document_keys, keep_members, match_keys, query_keys, read_lists, write_cell
from negset.mining.lists import Lists
from negset.mining.miner import Documents, Queries
from negset.mining.times import FIRST
from negset.search import Hits
from schemas.refs import CellRef


def documents(*rows):
    ids, texts, times = zip(*rows, strict=True) if rows else ((), (), ())
    columns = pl.Series(ids, dtype=pl.String), pl.Series(texts, dtype=pl.String)
    return Documents(*columns, np.arange(len(ids)), np.array(times, dtype=np.int64))


def test_id_text_and_time_each_count_and_borders_between_them_too():
    rows = [("d1", "text", 5), ("d2", "text", 5), ("d1", "Text", 5), ("d1", "text", 6), ("d1\0", "text", 5)]
    rows += [("d1", "\0text", 5), ("d1", "text\0", 5), ("d", "1\0text", 5), ("d1", "text", FIRST)]
    keys = document_keys(documents(*rows))
    assert len({key.tobytes() for key in keys}) == len(rows)
    assert document_keys(documents(*reversed(rows))).tolist() == keys[::-1].tolist()


def test_the_depth_of_a_query_is_not_in_its_key():
    ids, texts = pl.Series(["q1"]), pl.Series(["who"])
    first, second = (
        query_keys(Queries(np.arange(1), ids, texts, np.array([depth]), np.array([7]))) for depth in (5, 9)
    )
    assert first.tobytes() == second.tobytes()


def test_keys_are_found_where_they_are_now():
    old = document_keys(documents(("a", "1", 0), ("b", "2", 0), ("c", "3", 0)))
    new = document_keys(documents(("a", "1", 0), ("aa", "9", 0), ("b", "changed", 0), ("c", "3", 0)))
    assert match_keys(old, new).tolist() == [0, -1, 3]
    assert match_keys(document_keys(documents()), new).tolist() == []
    assert match_keys(old, document_keys(documents())).tolist() == [-1, -1, -1]


def test_members_are_kept_under_the_content_of_their_partition(store):
    kept = keep_members(store, "content", documents(("a", "1", 0)))
    assert keep_members(store, "content", documents(("b", "other", 0))).tolist() == kept.tolist()


@pytest.mark.parametrize("reserve", [0, 2])
def test_a_cell_reads_back_as_it_was_written(store, reserve):
    hits = Hits(np.array([0, 0, 0, 2]), np.array([5, 1, 9, 3]), np.array([0.9, 0.5, 0.5, -0.25]))
    lists = Lists(hits, np.array([0.5, np.inf, -np.inf]), np.array([10, 0, 0]))
    depths = np.array([3 - reserve, 1, 1])
    keys = np.arange(48, dtype=np.uint8).reshape(3, 16)
    with store.staging() as staged:
        content, rows = write_cell(lists, depths, keys, staged)
        store.commit(CellRef, "cell", content, rows, staged)
    assert rows == 4 - reserve
    found, found_keys = read_lists(store, "cell")
    for name in ("query", "doc", "score"):
        assert getattr(found.hits, name).tolist() == getattr(hits, name).tolist()
    assert (found.floor_Q.tolist(), found.floor_doc_Q.tolist()) == ([0.5, np.inf, -np.inf], [10, 0, 0])
    assert found_keys.tolist() == keys.tolist()
