"""A corpus that changed is patched, and gives the bytes of a build from nothing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.mining.cell_files import CANDIDATES
from negset.mining.cells import listed_cells, mine_cells, missing_cells, plan_cells
from negset.mining.explaining import explain_cells
from negset.mining.miner import MiningInputs
from negset.store import Store
from schemas.config import DenseConfig, MineConfig, RandomConfig

WORDS = [f"word{n}" for n in range(9)]


def text(chance):
    return " ".join(chance.choice(WORDS, 4))


class World:
    """Documents and queries that change, and the stores that follow them."""

    def __init__(self, seed, partitions, block):
        self.chance = np.random.default_rng(seed)
        self.documents = {f"d{n:03}": text(self.chance) for n in range(40)}
        self.queries = {f"q{n:02}": text(self.chance) for n in range(7)}
        self.partitions, self.block, self.born = partitions, block, 40

    def change(self, kind):
        ids = sorted(self.documents)
        some = [ids[at] for at in sorted(self.chance.choice(len(ids), min(len(ids), 3), replace=False))]
        if kind == "add":
            for _ in range(3):
                self.documents[f"d{int(self.chance.integers(1000)):03}x{self.born}"] = text(self.chance)
                self.born += 1
        elif kind == "remove" and len(ids) > 8:
            for name in some:
                del self.documents[name]
        elif kind == "edit":
            for name in some:
                self.documents[name] = text(self.chance)
        elif kind == "ask":
            self.queries[f"q{int(self.chance.integers(100)):02}x{len(self.queries)}"] = text(self.chance)
        elif kind == "reword":
            self.queries[sorted(self.queries)[0]] = text(self.chance)

    def inputs(self, memory_snapshot, memory_vectors, **mine):
        first = min(self.documents)
        snapshot = memory_snapshot(
            self.documents, self.queries, [(query, first, 1) for query in self.queries], self.partitions
        )
        vectors = memory_vectors()
        config = MineConfig(**{"depth": 5, "query_block": self.block, "random": RandomConfig(depth=5), **mine})
        return MiningInputs(snapshot, config, 13, "encoder", vectors, vectors, dataset="world")


def cell_bytes(store, ref):
    return {
        (cell.block, cell.partition): (store.open("cell", cell.fingerprint) / CANDIDATES).read_bytes()
        for cell in listed_cells(store, ref)
    }


def facts(store, ref):
    return store.manifest("cells", ref.fingerprint).facts


@pytest.fixture(scope="module")
def no_flush():
    """Leave out flushing to disk, which takes most of the time and is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@given(
    seed=st.integers(0, 10**6),
    partitions=st.sampled_from([1, 2, 3]),
    block=st.sampled_from([3, 100]),
    miner=st.sampled_from(["dense", "random"]),
    changes=st.lists(st.sampled_from(["add", "remove", "edit", "ask", "reword"]), min_size=1, max_size=4),
)
@settings(max_examples=50, deadline=None)
def test_any_sequence_of_changes_gives_the_bytes_of_a_build_from_nothing(
    seed, partitions, block, miner, changes, memory_snapshot, memory_vectors, tmp_path_factory, no_flush
):
    world, folder = World(seed, partitions, block), tmp_path_factory.mktemp("world")
    followed = Store(folder / "followed")
    mine_cells(world.inputs(memory_snapshot, memory_vectors), miner, followed)
    for change in changes:
        world.change(change)
        patched = mine_cells(world.inputs(memory_snapshot, memory_vectors), miner, followed)
    inputs, fresh = world.inputs(memory_snapshot, memory_vectors), Store(folder / "fresh")
    whole = mine_cells(inputs, miner, fresh)
    assert patched == whole
    assert cell_bytes(followed, patched) == cell_bytes(fresh, whole)


@pytest.fixture
def world(memory_snapshot, memory_vectors):
    made = World(7, 1, 100)
    made.documents = {f"d{n:04}": f"{text(made.chance)} {n % 97}" for n in range(900)}
    made.build = lambda store, **mine: mine_cells(made.inputs(memory_snapshot, memory_vectors, **mine), "dense", store)
    made.plan = lambda: plan_cells(made.inputs(memory_snapshot, memory_vectors), "dense")
    return made


def test_what_came_is_searched_and_nothing_else(world, store):
    assert facts(store, world.build(store))["scored"] == 7 * 900
    world.documents |= {f"e{n}": text(world.chance) for n in range(9)}
    assert facts(store, world.build(store))["scored"] == 7 * 9
    del world.documents["d0500"]
    assert facts(store, world.build(store))["scored"] == 0


def test_a_new_query_is_searched_in_all_documents_and_the_others_are_not(world, store):
    world.build(store)
    world.queries |= {"new": text(world.chance)}
    assert facts(store, world.build(store))["scored"] == 900


def test_a_query_whose_list_was_emptied_is_searched_again(world, store):
    from negset.mining.cell_files import read_candidates

    first = world.build(store)
    hits, ids = read_candidates(store, listed_cells(store, first)[0].fingerprint), sorted(world.documents)
    reserve_and_more = 5 + 1 + 4 + 1  # depth, one positive, the reserve: one document more than the list has
    best = [ids[doc] for doc in hits.doc[hits.query == 3].tolist()]
    scored = 0
    for name in best[:reserve_and_more]:
        del world.documents[name]
    for _ in range(2):  # what is left of the list goes too
        ref = world.build(store)
        scored += facts(store, ref)["scored"]
        hits, ids = read_candidates(store, listed_cells(store, ref)[0].fingerprint), sorted(world.documents)
        for doc in hits.doc[hits.query == 3].tolist():
            world.documents.pop(ids[doc], None)
    assert scored > 0  # nothing came: only searching again scores a pair


def test_more_documents_than_half_are_mined_from_nothing(world, store):
    world.build(store)
    world.documents |= {f"e{n}": text(world.chance) for n in range(950)}
    assert facts(store, world.build(store))["scored"] == 7 * 1850


def test_another_dataset_encoder_or_depth_is_not_built_upon(world, store, memory_snapshot, memory_vectors):
    world.build(store)
    world.documents |= {"e": "word1"}
    inputs = world.inputs(memory_snapshot, memory_vectors)
    assert facts(store, mine_cells(replace(inputs, dataset="other"), "dense", store))["scored"] == 7 * 901
    assert facts(store, mine_cells(replace(inputs, encoder_content="b"), "dense", store))["scored"] == 7 * 901
    assert facts(store, world.build(store, depth=40))["scored"] == 7 * 902  # the lists are too short for it
    assert facts(store, world.build(store, depth=30))["scored"] == 0  # and now long enough


def test_the_nearest_of_several_earlier_builds_is_built_upon(world, store):
    monday = dict(world.documents)
    world.build(store)
    world.documents = {name: text for name, text in monday.items() if name > "d0300"}
    world.build(store)
    world.documents = monday | {"e": "word1"}  # a backfill goes back to the first day, with one document more
    assert facts(store, world.build(store))["scored"] == 7


@pytest.mark.parametrize("damage", ["pointer", "members", "base"])
def test_what_is_damaged_costs_time_and_no_byte(world, store, damage, tmp_path):
    first = world.build(store)
    world.documents |= {"e": "word1"}
    if damage == "pointer":
        for path in (store.root / "lineage").glob("*.json"):
            path.write_text("[1, ")
    elif damage == "members":
        for path in (store.root / "members").glob("*/keys.npy"):
            path.write_bytes(path.read_bytes()[:-3])
    else:
        path = store.folder("cell", listed_cells(store, first)[0].fingerprint) / "reserve.npy"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    patched = world.build(store)
    assert facts(store, patched)["scored"] == 7 * 901
    fresh = Store(tmp_path / "fresh")
    assert cell_bytes(store, patched) == cell_bytes(fresh, world.build(fresh))


def test_the_plan_says_which_cells_run_and_why(world, store, memory_snapshot, memory_vectors):
    def reasons(**changes):
        inputs = replace(world.inputs(memory_snapshot, memory_vectors), **changes)
        return explain_cells(inputs, "dense", missing_cells(plan_cells(inputs, "dense"), store), store)

    assert reasons() == ["1 cells mined whole: not mined before"]
    world.build(store)
    assert reasons() == []
    assert reasons(encoder_content="b") == ["1 cells mined whole: what scores depend on has changed"]
    world.documents |= {"e": "word1", "d0007": "word2"}
    del world.documents["d0009"]
    assert reasons() == ["1 partition: patched, 2 documents came or changed, 2 left or changed"]
    world.build(store)
    world.queries |= {"new": "word1"}
    assert reasons() == ["1 partition: patched, queries came or changed or ask for more; their documents are the same"]
    world.documents |= {f"f{n}": "word1" for n in range(990)}
    assert reasons() == ["1 partition: mined whole, more than half of its documents are new"]


def test_the_plan_promises_no_patch_of_lists_that_an_index_made(world, store, memory_snapshot, memory_vectors):
    """What an index left out is not known, so mining starts anew; the plan once said "patched" all the same."""

    def reasons():
        inputs = world.inputs(memory_snapshot, memory_vectors, dense=DenseConfig(index="hnsw"))
        inputs = replace(inputs, indexes=SimpleNamespace(content=""))  # every partition is too small for an index
        return explain_cells(inputs, "dense", missing_cells(plan_cells(inputs, "dense"), store), store)

    world.build(store)
    world.queries |= {"new": "word1"}
    why = "lists of this miner cannot be patched"
    assert reasons() == [f"1 partition: mined whole, queries came or changed or ask for more, and {why}"]
    world.documents |= {"e": "word1"}
    assert reasons() == [f"1 partition: mined whole, its documents changed, and {why}"]
