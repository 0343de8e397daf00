"""What a plan says of the term statistics, and what of them stands in a manifest."""

import json

import pytest

from negset import building
from negset.mining.statistics import find_statistics
from negset.planning import plan_build
from negset.snapshot import build_snapshot, open_snapshot
from schemas.config import Bm25Config, BuildConfig, MineConfig, RecipeConfig, SourceConfig


@pytest.fixture
def lexical(beir):
    def make(pin=""):
        return BuildConfig(
            name="small",
            source=SourceConfig(format="beir", path=str(beir), partitions=3),
            mine=MineConfig(miners=("bm25",), depth=10, bm25=Bm25Config(pin=pin), query_block=10),
            recipe=RecipeConfig(name="naive", negatives=2),
        )

    return make


@pytest.fixture
def grow(beir):
    def add():
        with (beir / "corpus.jsonl").open("a") as file:
            file.write(json.dumps({"_id": "new", "title": "", "text": "amber birch kettle"}) + "\n")

    return add


def planned(config, store):
    return {room.name: (room.state, room.detail) for room in plan_build(config, store)}


def test_statistics_of_every_build_are_counted_again_for_a_changed_document(lexical, select, store, grow):
    build_snapshot(lexical().source, store)
    assert planned(lexical(), store)["statistics"] == ("runs", "3 of 3 partitions to count, of every build")
    select(lexical(), store)
    assert planned(lexical(), store)["statistics"] == ("cached", "0 of 3 partitions to count, of every build")
    grow()
    build_snapshot(lexical().source, store)
    plan = planned(lexical(), store)
    assert plan["statistics"] == ("runs", "1 of 3 partitions to count, of every build")
    assert plan["mine bm25"] == ("runs", "known cell by cell once its inputs are there")


def test_pinned_statistics_let_a_plan_name_the_cells_of_the_changed_partition(lexical, select, store, grow):
    config = lexical("2024")
    build_snapshot(config.source, store)
    assert planned(config, store)["statistics"] == ("runs", "3 of 3 partitions to count, to be pinned as '2024'")
    select(config, store)
    assert planned(config, store)["statistics"] == (
        "cached",
        "0 of 3 partitions to count, pinned as '2024' over 60 documents",
    )
    grow()
    build_snapshot(config.source, store)
    plan = planned(config, store)
    assert plan["statistics"] == ("runs", "1 of 3 partitions to count, pinned as '2024' over 60 documents")
    assert plan["mine bm25"] == ("runs", "3 of 9 cells")
    mined = select(config, store).refs.cells["bm25"]
    assert store.manifest("cells", mined.fingerprint).facts["mined"] == 3
    assert planned(config, store)["statistics"][0] == "cached"


def test_a_manifest_names_the_pin_and_the_content_of_the_statistics(lexical, select, store, grow):
    config = lexical("2024")
    first = building.describe(config, select(config, store).refs, store)
    grow()
    second = building.describe(config, select(config, store).refs, store)
    snapshot = open_snapshot(store, build_snapshot(config.source, store))
    ref = find_statistics(config.mine.bm25, snapshot, store, "small")
    for facts in (first, second):
        assert (facts.miners["bm25"]["pin"], facts.miners["bm25"]["statistics"]) == ("2024", ref.content)
    other = building.describe(lexical(), select(lexical(), store).refs, store)
    assert other.miners["bm25"]["statistics"] != ref.content
