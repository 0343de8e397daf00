import numpy as np
import polars as pl
import pytest

from negset.mining import selection_files
from negset.mining.recipe import bind_recipe, load_recipe
from negset.mining.selection import select_blocks
from negset.mining.selection_files import write_selection
from negset.mining.selection_inputs import open_selection_inputs
from negset.tables import read_table
from schemas.config import RecipeConfig

QUERIES, DEPTH = 20, 6


@pytest.fixture
def select(memory_snapshot, mined_candidates):
    snapshot = memory_snapshot(
        documents={f"d{at}": f"text {at}" for at in range(8)},
        queries={f"q{at:02d}": f"query {at}" for at in range(QUERIES)},
        labels=[(f"q{at:02d}", "d7", 1) for at in range(QUERIES)],
    )
    recipe = bind_recipe(load_recipe(RecipeConfig(name="margin-pos")), ["dense", "random"], 13)
    inputs = open_selection_inputs(snapshot, recipe, np.arange(8, dtype=np.uint32))
    frame = mined_candidates(
        [0.9, 0.8, 0.5, 0.4, 0.3, 0.2] * QUERIES,
        query=[query for query in range(QUERIES) for _ in range(DEPTH)],
        doc=list(range(DEPTH)) * QUERIES,
        positive_score_dense=0.7,
    )

    def blocks(size):
        parts = [frame.filter(pl.col("query") // size == at) for at in range(-(-QUERIES // size))]
        return select_blocks(parts, inputs, recipe)

    return blocks


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_tables_are_written_and_counted(select, tmp_path):
    assert write_selection(select(7), tmp_path) == QUERIES * 4
    assert sorted(files(tmp_path)) == [
        f"data/{name}/part-00000.parquet" for name in ("candidates", "fates", "negatives")
    ]
    negatives = read_table(tmp_path / "data/negatives/part-00000.parquet")
    assert negatives["doc_id"].to_list() == ["d2", "d3", "d4", "d5"] * QUERIES
    assert negatives["rank"].to_list() == [1, 2, 3, 4] * QUERIES


def test_bytes_do_not_depend_on_the_blocks(select, tmp_path, monkeypatch):
    monkeypatch.setattr(selection_files, "PART_ROWS", 50)
    written = []
    for size in (1, 7, 20):
        write_selection(select(size), tmp_path / str(size))
        written.append(files(tmp_path / str(size)))
    assert written[0] == written[1] == written[2]
    parts = [name for name in written[0] if "candidates" in name]
    assert len(parts) == 3  # 120 rows in files of 50
    rows = pl.concat([read_table(tmp_path / "7" / name) for name in parts])
    assert rows["query_id"].is_sorted()
    assert rows.height == QUERIES * DEPTH


def test_an_exact_multiple_leaves_no_empty_file(select, tmp_path, monkeypatch):
    monkeypatch.setattr(selection_files, "PART_ROWS", 60)
    write_selection(select(20), tmp_path)
    assert [name for name in files(tmp_path) if "candidates" in name] == [
        "data/candidates/part-00000.parquet",
        "data/candidates/part-00001.parquet",
    ]


def test_each_file_is_told_of_once_with_the_rows_that_reading_it_gives(select, tmp_path, monkeypatch):
    monkeypatch.setattr(selection_files, "PART_ROWS", 50)
    monkeypatch.setattr(selection_files, "ROW_GROUP", 20)
    told = []
    write_selection(select(7), tmp_path, lambda path, table, rows: told.append((path, table, rows)))
    assert sorted(path for path, _, _ in told) == sorted(tmp_path.rglob("*.parquet"))
    for path, table, rows in told:
        assert path.parent.name == table
        assert rows.equals(read_table(path)), path
    assert sorted(rows.height for _, table, rows in told if table == "candidates") == [20, 50, 50]
