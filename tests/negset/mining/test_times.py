"""Point in time: a query's candidates are those that mining would find had the later documents never been there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from negset.mining.miner import MiningInputs, OpenMiner, find_miner
from negset.mining.statistics import open_statistics, prepare_statistics
from negset.mining.times import FIRST, LAST, first_moment, last_moments, moments_of_creation
from negset.partitions import PartitionFacts
from negset.store import Store
from schemas.config import MineConfig, RandomConfig, RunConfig, TimeConfig

DATES = pl.Datetime("us", "UTC")
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINERS = ["random", "run", "dense", "bm25"]


def mined(cell_rows, miner, snapshot, folder, vectors=None, depth=50, **time):
    """Mine every query of `snapshot`, whose run file proposes every document; give query to [(document, score)]."""
    store = Store(folder / "store")
    config = MineConfig(
        miners=(miner,),
        depth=depth,
        query_block=2,
        random=RandomConfig(depth=depth),
        run=RunConfig(path=str(write_run(folder, snapshot))),
        time=TimeConfig(**time),
    )
    statistics = open_statistics(store, prepare_statistics(config.bm25, snapshot, store)) if miner == "bm25" else None
    inputs = MiningInputs(snapshot, config, 13, "encoder", vectors, vectors, statistics)
    best = sorted(cell_rows(inputs, miner, store), key=lambda row: (row[0], -row[2], row[1]))
    # Each query has one positive and so wants one document more.
    return {
        query: [row[1:] for row in best if row[0] == query][: depth + 1] for query in snapshot.queries()["query_id"]
    }


def write_run(folder: Path, snapshot) -> Path:
    """Write a run in which each query has every document, later ones higher."""
    path = folder / "run.trec"
    ids = snapshot.documents()["doc_id"].to_list()
    lines = [f"{query} Q0 {doc} 0 {n} t" for query in snapshot.queries()["query_id"] for n, doc in enumerate(ids)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def around_noon(memory_snapshot):
    """Give two queries, asked at noon and never, and documents around noon."""
    created = {
        "long-ago": NOON - timedelta(days=900),
        "before": NOON - SECOND / 1_000_000,
        "then": NOON,
        "after": NOON + SECOND / 1_000_000,
        "second": NOON + SECOND,
        "hour": NOON + timedelta(hours=1),
        "over": NOON + timedelta(hours=1) + SECOND / 1_000_000,
    }
    documents = dict.fromkeys([*created, "undated"], "amber birch")
    queries, labels = {"at-noon": "amber", "never": "birch"}, [("at-noon", "gone", 1), ("never", "gone", 1)]
    return memory_snapshot(documents, queries, labels, 3, created=created, asked={"at-noon": NOON})


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize(
    ("time", "known"),
    [
        ({"limit": True}, {"long-ago", "before", "then", "undated"}),
        ({"limit": True, "undated": "drop"}, {"long-ago", "before", "then"}),
        ({"limit": True, "grace": "1s"}, {"long-ago", "before", "then", "after", "second", "undated"}),
        ({"limit": True, "grace": "60m"}, {"long-ago", "before", "then", "after", "second", "hour", "undated"}),
        ({}, {"long-ago", "before", "then", "after", "second", "hour", "over", "undated"}),
    ],
)
def test_no_document_from_the_future_is_found(cell_rows, around_noon, memory_vectors, tmp_path, miner, time, known):
    found = mined(cell_rows, miner, around_noon, tmp_path, memory_vectors(), **time)
    assert {doc for doc, _ in found["at-noon"]} == known
    assert {doc for doc, _ in found["never"]} == set(around_noon.documents()["doc_id"])  # asked at no known time


SECONDS = st.none() | st.integers(-3, 6)


def dated(names, seconds):
    return {name: NOON + second * SECOND for name, second in zip(names, seconds, strict=True) if second is not None}


@pytest.mark.parametrize("miner", ["random", "run"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(SECONDS, min_size=1, max_size=12),
    st.lists(SECONDS, min_size=1, max_size=4),
    st.sampled_from(["0s", "1s", "2s"]),
    st.sampled_from(["keep", "drop"]),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_it_equals_leaving_the_later_documents_out_before_mining(
    cell_rows, memory_snapshot, tmp_path_factory, miner, created, asked, grace, undated, partitions, depth
):
    folder = tmp_path_factory.mktemp("case")
    names = [f"d{number:02}" for number in range(len(created))]
    queries = {f"q{number}": "x" for number in range(len(asked))}
    times, moments = dated(names, created), dated(queries, asked)
    labels = [(query, "positive", 1) for query in queries]
    snapshot = memory_snapshot(dict.fromkeys(names, "x"), queries, labels, partitions, created=times, asked=moments)
    found = mined(cell_rows, miner, snapshot, folder, depth=depth, limit=True, grace=grace, undated=undated)
    for query in queries:
        limit = moments[query] + int(grace[0]) * SECOND if query in moments else None
        known = [
            name for name in names if limit is None or (times[name] <= limit if name in times else undated == "keep")
        ]
        alone = memory_snapshot(dict.fromkeys(known, "x"), {query: "x"}, [(query, "positive", 1)])
        if not known:
            assert found[query] == []
            continue
        plain = mined(cell_rows, miner, alone, tmp_path_factory.mktemp("alone"), depth=depth)[query]
        # The run numbers the documents that it has: scores differ, their order does not.
        assert [doc for doc, _ in found[query]] == [doc for doc, _ in plain]
        assert miner == "run" or found[query] == plain


@pytest.mark.parametrize("miner", MINERS)
def test_another_calendar_changes_nothing(cell_rows, memory_snapshot, memory_vectors, tmp_path, miner):
    names = [f"d{number:02}" for number in range(30)]
    queries = {f"q{number}": "amber" for number in range(5)}
    found = []
    for number, shift in enumerate([timedelta(0), timedelta(days=-20_000), timedelta(microseconds=1)]):
        created = {name: NOON + shift + SECOND * place for place, name in enumerate(names)}
        asked = {name: NOON + shift + 7 * SECOND * place for place, name in enumerate(queries)}
        labels = [(query, "d00", 1) for query in queries]
        snapshot = memory_snapshot(dict.fromkeys(names, "amber"), queries, labels, 2, created=created, asked=asked)
        (tmp_path / str(number)).mkdir()
        found.append(mined(cell_rows, miner, snapshot, tmp_path / str(number), memory_vectors(), limit=True))
    assert found[0] == found[1] == found[2]
    assert [len(found[0][query]) for query in queries] == [1, 8, 15, 22, 29]


def test_a_partition_that_nobody_may_know_is_not_opened(cell_rows, memory_snapshot, tmp_path, monkeypatch):
    names = [f"d{number:02}" for number in range(30)]
    queries = {"a": "x", "b": "x", "c": "x"}

    def snapshot(created):
        labels = [(query, "d00", 1) for query in queries]
        asked = {"a": NOON, "b": NOON, "c": NOON - 2 * SECOND}  # blocks of two: c stands alone
        return memory_snapshot(dict.fromkeys(names, "x"), queries, labels, 3, created=created, asked=asked)

    first, second, third = (snapshot({}).documents(name)["doc_id"].to_list() for name in snapshot({}).partitions())
    seconds = {**dict.fromkeys(first, 1), **dict.fromkeys(second, -1), **dict.fromkeys(third, -2)}
    opened, searched = watch(monkeypatch, "random")
    found = mined(
        cell_rows, "random", snapshot({name: NOON + seconds[name] * SECOND for name in names}), tmp_path, limit=True
    )
    assert opened == [second, third]
    assert searched == [["a", "b"], ["a", "b"], ["c"]]
    assert {query: {doc for doc, _ in docs} for query, docs in found.items()} == {
        "a": {*second, *third},
        "b": {*second, *third},
        "c": set(third),
    }
    assert len(list((tmp_path / "store" / "cell").iterdir())) == 6  # those without a candidate are there too


def watch(monkeypatch, miner):
    """Note which partitions `miner` opens, and which queries it searches for."""
    opened, searched = [], []
    real = find_miner(miner).open_miner

    def open_miner(inputs):
        ready = real(inputs)

        def open_partition(documents):
            opened.append(documents.doc_id.to_list())
            search = ready.open_partition(documents)
            return lambda queries: searched.append(queries.query_id.to_list()) or search(queries)

        return OpenMiner(open_partition, ready.score_pairs)

    monkeypatch.setattr(find_miner(miner), "open_miner", open_miner)
    return opened, searched


def facts(undated, *seconds):
    created = [NOON + second * SECOND for second in seconds]
    return PartitionFacts(
        label="x",
        documents=undated + len(created),
        undated=undated,
        first_created=min(created, default=None),
        last_created=max(created, default=None),
    )


@pytest.mark.parametrize(
    ("partition", "time", "expected"),
    [
        (facts(0, 3, 1, 2), {"limit": True}, 1),
        (facts(1, 3, 1, 2), {"limit": True}, FIRST),
        (facts(1, 3, 1, 2), {"limit": True, "undated": "drop"}, 1),
        (facts(1), {"limit": True, "undated": "drop"}, LAST),
        (facts(0), {"limit": True}, LAST),
        (facts(0, 1), {}, FIRST),
    ],
)
def test_the_first_moment_of_a_partition_is_that_of_its_documents(partition, time, expected):
    noon = int(NOON.timestamp()) * 1_000_000
    found = first_moment(partition, TimeConfig(**time))
    assert found == (expected if expected in (FIRST, LAST) else noon + expected * 1_000_000)


def test_times_are_microseconds_and_every_policy_is_one_comparison():
    times = pl.Series([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None], dtype=DATES)
    assert last_moments(times, TimeConfig(limit=True, grace="2m")).tolist() == [121_000_000, LAST]
    assert moments_of_creation(times, TimeConfig(limit=True)).tolist() == [1_000_000, FIRST]
    assert moments_of_creation(times, TimeConfig(limit=True, undated="drop")).tolist() == [1_000_000, LAST]
    assert (last_moments(times, TimeConfig()) == LAST).all()
    assert (moments_of_creation(times, TimeConfig(undated="drop")) == FIRST).all()


def test_a_grace_beyond_all_time_is_no_limit():
    last = pl.Series([datetime(9999, 12, 31, tzinfo=UTC)], dtype=DATES)
    first = moments_of_creation(last, TimeConfig(limit=True))
    assert (last_moments(last, TimeConfig(limit=True, grace=f"{10**30}w")) > first).all()
    assert last_moments(last, TimeConfig(limit=True, grace=f"{10**30}w")).dtype == np.int64
