import numpy as np
import pytest

from negset.errors import ConfigError
from negset.mining.cell_files import CANDIDATES, read_candidates
from negset.mining.cells import (
    cells_content,
    cells_fingerprint,
    estimate_memory,
    find_cells,
    listed_cells,
    mine_cells,
    mined_queries,
    missing_cells,
    plan_cells,
    query_blocks,
)
from negset.mining.miner import MiningInputs
from negset.mining.statistics import open_statistics, prepare_statistics
from schemas.config import Bm25Config, MineConfig, RandomConfig

DOCUMENTS = {f"d{n:02d}": f"word{n % 7} word{n % 5} word{n % 3} common" for n in range(40)}
QUERIES = {f"q{n:02d}": f"word{n % 7} word{n % 5}" for n in range(10)}
LABELS = [(f"q{n:02d}", f"d{n:02d}", 1) for n in range(9)] + [("q00", "d20", 1), ("q09", "d09", 0)]


@pytest.fixture
def inputs(memory_snapshot, memory_vectors):
    def make(
        partitions=2, documents=DOCUMENTS, queries=QUERIES, labels=LABELS, splits=None, seed=13, statistics=None, **mine
    ):
        config = MineConfig(**{"miners": ("dense",), "depth": 5, "query_block": 4, **mine})
        snapshot = memory_snapshot(documents, queries, labels, partitions, splits)
        vectors = memory_vectors()
        return MiningInputs(snapshot, config, seed, "encoder", vectors, vectors, statistics)

    return make


def mined(store, ref):
    return store.manifest("cells", ref.fingerprint).facts["mined"]


def test_queries_with_a_positive_are_mined_and_each_wants_a_document_more_for_each(inputs):
    assert mined_queries(inputs())["query_id"].to_list() == [f"q{n:02d}" for n in range(9)]  # q09 has none
    first, second, third = query_blocks(inputs(), "dense")
    assert first.depths.tolist() == [5 + 2, 5 + 1, 5 + 1, 5 + 1]
    assert (len(second.rows), third.query_id.to_list()) == (4, ["q08"])
    assert query_blocks(inputs(random=RandomConfig(depth=3)), "random")[0].depths.tolist() == [5, 4, 4, 4]


def test_splits_choose_queries_and_must_exist(inputs):
    splits = {"q01": "test", "q07": "test"}
    config = inputs(splits=splits)
    assert mined_queries(config).height == 9
    chosen = MiningInputs(config.snapshot, config.config.model_copy(update={"splits": ("test",)}), 13)
    assert mined_queries(chosen)["query_id"].to_list() == ["q01", "q07"]
    wrong = MiningInputs(config.snapshot, config.config.model_copy(update={"splits": ("tset",)}), 13)
    with pytest.raises(
        ConfigError, match=r"mine.splits names \['tset'\], which no query has; the splits are \['test', 'train'\]"
    ):
        mined_queries(wrong)


def test_a_cell_holds_the_best_of_its_partition_in_order(inputs, store):
    ref = mine_cells(inputs(), "dense", store)
    cells = listed_cells(store, ref)
    assert [(cell.block, cell.partition) for cell in cells] == [
        (block, name) for name in ("b0000of0002", "b0001of0002") for block in range(3)
    ]
    hits = read_candidates(store, cells[0].fingerprint)
    assert np.bincount(hits.query).tolist() == [7, 6, 6, 6]
    for query in range(4):
        here = hits.query == query
        pairs = list(zip((-hits.score[here]).tolist(), hits.doc[here].tolist(), strict=True))
        assert pairs == sorted(pairs)
    assert ref.rows == 2 * (7 + 8 * 6)


def test_a_second_run_mines_nothing(inputs, store):
    steps = []
    first = mine_cells(inputs(), "dense", store, lambda *step: steps.append(step))
    assert steps == [("mine dense", done, 6) for done in range(7)]
    assert mined(store, first) == 6
    steps.clear()
    assert mine_cells(inputs(), "dense", store, lambda *step: steps.append(step)) == first
    assert steps == [("mine dense", 6, 6)]
    assert missing_cells(plan_cells(inputs(), "dense"), store) == []


def test_only_a_damaged_cell_is_mined_again(inputs, store, monkeypatch):
    ref = mine_cells(inputs(), "dense", store)
    cells = listed_cells(store, ref)
    before = [store.manifest("cell", cell.fingerprint) for cell in cells]
    path = store.folder("cell", cells[3].fingerprint) / CANDIDATES
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert missing_cells(plan_cells(inputs(), "dense"), store) == [cells[3]]
    assert find_cells(store, ref.fingerprint) is None
    steps = []
    mine_cells(inputs(), "dense", store, lambda *step: steps.append(step))
    assert steps == [("mine dense", 5, 6), ("mine dense", 6, 6)]
    assert [store.manifest("cell", cell.fingerprint) for cell in cells] == before
    assert missing_cells(cells, store) == []
    assert find_cells(store, ref.fingerprint) == ref


def test_a_new_document_touches_one_column_and_a_new_query_one_row(inputs, store):
    before = {cell.fingerprint for cell in plan_cells(inputs(partitions=3), "dense")}
    grown = plan_cells(inputs(partitions=3, documents=DOCUMENTS | {"new": "word1"}), "dense")
    changed = [cell for cell in grown if cell.fingerprint not in before]
    assert len({cell.partition for cell in changed}) == 1
    assert len(changed) == 3
    more = plan_cells(
        inputs(partitions=3, queries=QUERIES | {"r": "word2"}, labels=[*LABELS, ("r", "d00", 1)]), "dense"
    )
    assert {cell.block for cell in more if cell.fingerprint not in before} == {2}


def test_a_fingerprint_covers_what_can_change_rows_and_nothing_else(inputs, memory_snapshot, store):
    def names(miner, **changes):
        return [cell.fingerprint for cell in plan_cells(inputs(**changes), miner)]

    assert names("dense", seed=1) == names("dense", seed=2)
    assert names("random", seed=1) != names("random", seed=2)
    assert names("dense") != names("random")
    assert names("dense", depth=6) != names("dense")
    other = inputs()
    other = MiningInputs(other.snapshot, other.config, other.seed, "another encoder")
    assert [cell.fingerprint for cell in plan_cells(other, "dense")] != names("dense")
    statistics = [
        open_statistics(
            store, prepare_statistics(Bm25Config(k1=k1), memory_snapshot(DOCUMENTS, QUERIES, LABELS), store)
        )
        for k1 in (0.9, 1.2)
    ]
    assert names("bm25", statistics=statistics[0]) != names("bm25", statistics=statistics[1])
    # A relevance is no part of what is mined, a positive more is: it asks for one document more.
    assert names("dense", labels=[*LABELS[:-1], ("q09", "d09", -3)]) == names("dense")


def test_the_content_does_not_depend_on_how_the_work_is_cut(inputs, store):
    refs = [
        mine_cells(inputs(partitions=parts, query_block=block), "dense", store)
        for parts, block in ((1, 100), (3, 4), (7, 1))
    ]
    assert len({ref.content for ref in refs}) == 1
    assert len({ref.fingerprint for ref in refs}) == 3
    assert refs[1].fingerprint == cells_fingerprint(inputs(partitions=3), "dense")
    assert refs[1].content == cells_content(inputs(partitions=1), "dense")
    assert cells_content(inputs(depth=6), "dense") != refs[0].content


def test_no_query_to_mine_leaves_no_cell(inputs, store):
    ref = mine_cells(inputs(labels=[]), "dense", store)
    assert (ref.rows, listed_cells(store, ref)) == (0, [])


def test_the_estimate_grows_with_the_largest_partition(inputs):
    whole, parts = estimate_memory(inputs(partitions=1), 16), estimate_memory(inputs(partitions=4), 16)
    assert whole > parts > 0
    # 40 documents and 4 queries of 16 float32, 7 + 3 * 6 candidates at the most, and the texts.
    assert whole - inputs(partitions=1).snapshot.documents().estimated_size() > 4 * 16 * (40 + 4)
