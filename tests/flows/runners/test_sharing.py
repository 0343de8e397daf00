"""Rooms cut into parts: which cells, and what is said where workers put them elsewhere."""

from types import SimpleNamespace

import pytest

from flows.runners import sharing
from negset.errors import ArtifactError
from schemas.config import BuildConfig
from tasks.parts import Whereabouts


@pytest.fixture
def config(beir) -> BuildConfig:
    return BuildConfig(
        name="a",
        source={"format": "beir", "path": str(beir), "partitions": 2},
        encoder={"backend": "hashing", "dimensions": 16},
        mine={"depth": 5, "query_block": 8},
        recipe={"name": "naive", "negatives": 2},
        runner={"kind": "threads", "workers": 2, "pairs_per_task": 1},
    )


def test_cells_that_workers_put_elsewhere_stop_the_build(select, config, store, monkeypatch):
    refs = select(config, store).refs.mining
    gone = store.names("cell")[:4]
    for name in gone:
        store.drop("cell", name)
    calls = []

    def elsewhere(crew, chosen, needs, given, progress):
        calls.extend(given)
        return [Whereabouts(host="far", store="/other", sets="/sets", version="1") for _ in given]

    monkeypatch.setattr(sharing, "spread", elsewhere)
    crew = SimpleNamespace(config=config, parts=lambda worth: 2)
    with pytest.raises(ArtifactError, match=r"4 of 4 cells are not in .*They wrote to far: /other"):
        sharing.share_cells(crew, config, refs, "dense", store)
    assert sorted(name for call in calls for name in call["cells"]) == sorted(gone)
    assert len(calls) == 2


def test_little_work_is_left_to_the_room(select, config, store, monkeypatch):
    made = select(config, store)
    for name in store.names("cell"):
        store.drop("cell", name)
    monkeypatch.setattr(sharing, "spread", None)
    worths = []
    crew = SimpleNamespace(config=config, parts=lambda worth: worths.append(worth) or 1)
    assert sharing.share_cells(crew, config, made.refs.mining, "dense", store) == []
    assert worths == [24 * 60]  # every query with every document
    assert sharing.share_selection(crew, made.refs, store) == []
