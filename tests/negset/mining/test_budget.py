"""Work is cut to fit the memory that it may take."""

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.mining.budget import SMALLEST_BLOCK, Load, cells_disk, memory_bytes, plan_budget
from negset.mining.cells import deepest_lists, mine_cells
from negset.mining.lists import reserve
from negset.mining.miner import MiningInputs
from schemas.config import MineConfig


def load(documents=200_000, dimensions=384, queries=20_000, length=117):
    return Load(documents, documents, documents * 600, dimensions, np.full(queries, length))


def test_amounts_are_read():
    assert [memory_bytes(text) for text in ("512MB", "1.5GB", "2TB")] == [512_000_000, 1_500_000_000, 2 * 10**12]
    assert memory_bytes("") > 0
    with pytest.raises(ConfigError, match="'4 gigs' is no amount of memory"):
        memory_bytes("4 gigs")


def test_the_peak_keeps_to_the_budget_whatever_it_is():
    for memory in (1.6e9, 2e9, 3e9, 8e9, 64e9):
        budget = plan_budget(int(memory), load(), 4096)
        assert budget.peak <= memory
        assert SMALLEST_BLOCK <= budget.block <= 4096


def test_less_memory_means_smaller_blocks_and_vectors_that_are_not_kept():
    rich, poor = plan_budget(int(8e9), load(), 4096), plan_budget(int(1.25e9), load(), 4096)
    assert (rich.block, rich.kept_whole) == (4096, True)
    assert poor.block < 4096
    assert not poor.kept_whole


def test_too_little_memory_is_said_before_anything_runs():
    with pytest.raises(ConfigError, match=r"mining needs 4\.\d\d GB for partitions of 2,000,000 documents"):
        plan_budget(int(1e9), load(documents=2_000_000, queries=100), 4096)
    plan_budget(int(1e9), load(documents=20_000, queries=100), 4096)  # more partitions are a way out


def test_disk_counts_each_list_as_long_as_its_partition_lets_it_be():
    lists = Load(1020, 1000, 0, 8, np.array([10, 50]))
    pairs = 10 + 50 + 10 + 20
    assert cells_disk(lists, [1000, 20]) == pairs * 16 + 2 * 2 * (12 + 16) + 1020 * 16


def test_disk_is_what_mining_writes(memory_snapshot, memory_vectors, store):
    documents = {f"d{n:03}": f"word{n % 31} word{n % 7}" for n in range(400)}
    queries = {f"q{n}": f"word{n}" for n in range(20)}
    snapshot = memory_snapshot(documents, queries, [(query, "d001", 1) for query in queries], partitions=3)
    vectors = memory_vectors()
    inputs = MiningInputs(snapshot, MineConfig(depth=50), 13, "encoder", vectors, vectors)
    mine_cells(inputs, "dense", store)
    sizes = [facts.documents for facts in snapshot.partition_facts.values()]
    stated = cells_disk(measure_lists(inputs), sizes)
    written = sum(path.stat().st_size for kind in ("cell", "members") for path in (store.root / kind).rglob("*.npy"))
    assert abs(written / stated - 1) < 0.1


def measure_lists(inputs):
    depths = deepest_lists(inputs)
    return Load(0, 0, 0, 16, depths + reserve(depths))
