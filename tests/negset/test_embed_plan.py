"""Shared embedding: the shards that several embed are those that one would have embedded."""

import polars as pl
import pytest

from negset.embed_plan import embed_planned, plan_embedding, texts_at
from negset.encoders.hashing import HashingEncoder
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.vectors import embed_texts, find_vectors, open_vectors
from schemas.config import SourceConfig
from schemas.refs import EmbedPlanRef

ENCODER = HashingEncoder(fingerprint="e" * 64, dimensions=8)


@pytest.fixture
def source(collection, tmp_path) -> SourceConfig:
    """Give a corpus in three partitions in which some texts stand twice, in two partitions."""
    texts = {f"d{place:02}": f"amber birch item{place % 17}" for place in range(25)}
    queries = {f"q{place}": f"cedar ask{place}" for place in range(7)}
    collection(tmp_path / "world", texts, queries, [("q0", "d00", 1)])
    return SourceConfig(format="parquet", path=str(tmp_path / "world"), partitions=3)


def shards_of(store: Store) -> dict[str, str]:
    return {name: store.manifest("shard", name).content for name in store.names("shard")}


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("order", [1, -1])
def test_shards_embedded_by_several_are_those_of_one(source, tmp_path, role, order):
    alone, shared = Store(tmp_path / "alone"), Store(tmp_path / "shared")
    snapshot = open_snapshot(alone, build_snapshot(source, alone))
    parts = list(texts_at(snapshot, role))
    ids, texts = ([one for part in column for one in part] for column in zip(*parts, strict=True))
    embed_texts(ENCODER, ids, texts, role, alone, 4, "v")

    plan = plan_embedding(ENCODER, snapshot, role, shared)
    assert plan.rows == len(set(texts))
    for number in range(-(-plan.rows // 4))[::order]:
        embed_planned(ENCODER, snapshot, role, plan, range(number, number + 1), 4, shared)
    assert shards_of(shared) == shards_of(alone)
    made = embed_texts(ENCODER, ids, texts, role, shared, 4, "v")
    assert shards_of(shared) == shards_of(alone)
    assert made == find_vectors(alone, "v")
    assert (open_vectors(shared, made).gather(texts) == open_vectors(alone, made).gather(texts)).all()


def test_what_is_embedded_meanwhile_moves_no_border(source, store):
    snapshot = open_snapshot(store, build_snapshot(source, store))
    plan = plan_embedding(ENCODER, snapshot, "document", store)
    embed_planned(ENCODER, snapshot, "document", plan, range(0, 1), 4, store)
    first = shards_of(store)
    again = plan_embedding(ENCODER, snapshot, "document", store)
    assert again.rows == plan.rows - 4
    embed_planned(ENCODER, snapshot, "document", plan, range(0, 2), 4, store)
    assert len(shards_of(store)) == 2
    assert first.items() <= shards_of(store).items()


def test_only_partitions_with_a_wanted_text_are_read(source, store, monkeypatch):
    snapshot = open_snapshot(store, build_snapshot(source, store))
    plan = plan_embedding(ENCODER, snapshot, "document", store)
    read, documents = [], type(snapshot).documents

    def noted(self, partition=None) -> pl.DataFrame:
        read.append(partition)
        return documents(self, partition)

    monkeypatch.setattr(type(snapshot), "documents", noted)
    embed_planned(ENCODER, snapshot, "document", plan, range(0, 1), 4, store)
    assert read == snapshot.partitions()[:1]


def test_a_plan_is_named_by_what_is_missing(source, store):
    snapshot = open_snapshot(store, build_snapshot(source, store))
    plan = plan_embedding(ENCODER, snapshot, "query", store)
    assert isinstance(plan, EmbedPlanRef)
    assert plan_embedding(ENCODER, snapshot, "query", store) == plan
    assert plan_embedding(ENCODER, snapshot, "document", store) != plan
