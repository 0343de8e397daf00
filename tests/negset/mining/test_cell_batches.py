"""Batches of cells: all cells, in order, evenly, and no partition read more often than it must be."""

from hypothesis import given
from hypothesis import strategies as st

from negset.mining.cell_batches import cut_batches
from negset.mining.cell_files import Cell


def plane(counts):
    return [
        Cell(block, f"p{place:02}", f"{place}-{block}") for place, count in enumerate(counts) for block in range(count)
    ]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_every_cell_is_in_one_batch_and_in_its_place(counts, wanted):
    cells = plane(counts)
    batches = cut_batches(cells, wanted)
    assert [cell for batch in batches for cell in batch] == cells
    assert all(batches)
    assert len(batches) <= wanted


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_a_partition_is_shared_only_where_batches_outnumber_partitions(counts, wanted):
    batches = cut_batches(plane(counts), wanted)
    seen = [{cell.partition for cell in batch} for batch in batches]
    if len(counts) >= wanted:
        assert sum(map(len, seen)) == len(counts)
        assert len(batches) == wanted
    else:
        assert all(len(names) == 1 for names in seen)


def test_a_large_partition_is_shared_by_more_batches_than_a_small_one():
    batches = cut_batches(plane([90, 10]), 10)
    assert [len(batch) for batch in batches] == [10] * 10


def test_whole_partitions_are_spread_evenly():
    assert [len(batch) for batch in cut_batches(plane([5] * 100), 10)] == [50] * 10
    assert [len(batch) for batch in cut_batches(plane([1] * 7), 3)] == [3, 2, 2]
    assert [len(batch) for batch in cut_batches(plane([96, 1, 1, 1, 1]), 3)] == [96, 1, 3]


def test_ten_thousand_cells_share_as_many_batches_as_are_wanted():
    assert len(cut_batches(plane([100] * 100), 256)) <= 256
    assert len(cut_batches(plane([5] * 2000), 256)) == 256
