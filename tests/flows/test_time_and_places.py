"""Builds that choose by time and by place, from a source to the published set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows.build import build
from negset.planning import plan_build
from negset.publishing.verify import verify_set
from schemas.config import BuildConfig
from tasks.place import Place

pytestmark = pytest.mark.flow

ASKED = datetime(2024, 6, 1, 12, tzinfo=UTC)
TOWNS = ["izmir", "kobe", "lima", "oslo", "quito", "sendai", "split", "tirana", "tokat", "van", "varto", "yalova"]


def written(folder, documents, queries, labels):
    folder.mkdir()
    pl.DataFrame(documents).write_parquet(folder / "corpus.parquet")
    pl.DataFrame(queries).write_parquet(folder / "queries.parquet")
    rows = [{"query_id": query, "doc_id": doc, "relevance": 1, "split": "train"} for query, doc in labels]
    pl.DataFrame(rows).write_parquet(folder / "qrels.parquet")
    return {"format": "parquet", "path": str(folder)}


def quakes(folder):
    """Write for each town reports of 2019 and 2024 that say the same, one of the future, and an answer."""
    documents, queries, labels = [], [], []
    days = {"2019": timedelta(days=1800), "2024": timedelta(days=2), "future": -timedelta(days=1, seconds=1)}
    for town in TOWNS:
        report = f"strong earthquake shakes {town} tonight"
        documents += [
            {"doc_id": f"{town}-{when}", "text": report, "town": town, "created_at": ASKED - age}
            for when, age in days.items()
        ]
        answer = f"{town} earthquake emergency shelters and where to get drinking water"
        documents.append({"doc_id": f"{town}-answer", "text": answer, "town": None, "created_at": ASKED})
        queries.append({"query_id": town, "text": f"earthquake {town}", "town": town, "asked_at": ASKED})
        labels.append((town, f"{town}-answer"))
    return written(folder, documents, queries, labels)


def scores_of(table, miner):
    """Give the score by `miner` of each row, as published."""
    return [next((one["value"] for one in scores if one["name"] == miner), None) for scores in table["scores"]]


@pytest.fixture
def published(prefect_server, home):
    """Give a function from sections of a configuration to the tables of the set that they make."""

    def run(name, source, **sections):
        config = BuildConfig.model_validate(
            {
                "name": name,
                "source": source,
                "encoder": {"backend": "hashing", "dimensions": 64},
                **sections,
            }
        )
        folder = Path(build(config).path)
        verify_set(folder)
        names = ("negatives", "candidates")
        return config, {name: pl.read_parquet(sorted((folder / "data" / name).rglob("*.parquet"))) for name in names}

    return run


def test_a_report_of_2019_is_a_negative_and_one_of_2024_is_not(published, tmp_path):
    _config, tables = published(
        "quakes",
        quakes(tmp_path / "quakes"),
        mine={"miners": ["dense", "bm25"], "depth": 20, "time": {"limit": True, "grace": "1d"}},
        teach={"event": {"key": "town", "window": "30d"}},
        recipe={"name": "event-driven", "negatives": 2},
    )
    candidates, negatives = tables["candidates"], tables["negatives"]
    own = candidates.filter(pl.col("doc_id").str.starts_with(pl.col("query_id")))
    by_year = {year: own.filter(pl.col("doc_id").str.ends_with(f"-{year}")) for year in ("2019", "2024", "future")}
    # texts alone tie them
    scores = [scores_of(by_year[year].sort("query_id"), "dense") for year in ("2019", "2024")]
    assert scores[0] == scores[1]
    assert len(scores[0]) == len(TOWNS)
    assert by_year["future"].is_empty()  # a second after the grace
    stale = set(negatives.filter(pl.col("doc_id") == pl.col("query_id") + "-2019")["query_id"])
    assert stale == set(TOWNS)
    assert set(by_year["2024"]["rejected_by"]) == {"stale_event"}


def test_the_nearest_places_are_negatives(published, tmp_path):
    documents = [
        {"doc_id": f"{row:02}", "text": f"place number{row} near km{row}", "latitude": 40.0, "longitude": row / 2}
        for row in range(40)
    ]
    queries = [
        {"query_id": f"q{row:02}", "text": f"number{row}", "latitude": 40.0, "longitude": row / 2 + 0.01}
        for row in range(10, 30)
    ]
    source = written(tmp_path / "places", documents, queries, [(f"q{row:02}", f"{row:02}") for row in range(10, 30)])
    config, tables = published(
        "places",
        source,
        mine={"miners": ["geo", "dense"], "depth": 10, "geo": {"min_km": 40, "max_km": 100}},
        recipe={"name": "sample4geo", "negatives": 2},
    )
    near = tables["negatives"].group_by("query_id").agg(pl.col("doc_id").sort()).sort("query_id")["doc_id"].to_list()
    # what only the other miner proposed is nearer or farther than the limits: it has a distance, and is not taken
    assert near == [[f"{row - 1:02}", f"{row + 1:02}"] for row in range(10, 30)]
    assert None not in scores_of(tables["candidates"], "geo")
    assert {room.state for room in plan_build(config, Place().open_store())} == {"cached"}
