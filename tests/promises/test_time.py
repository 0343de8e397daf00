"""No query is given what came after it, and a build as of a day is the build of that day."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from negset import building
from negset.errors import ValidationFailed
from negset.snapshot import open_snapshot
from negset.store import Store
from negset.tables import write_table
from schemas.config import BuildConfig, MineConfig, RandomConfig, RecipeConfig, RunConfig, SourceConfig, TimeConfig

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DOCUMENTS, QUERIES = 120, 12


def write(folder: Path, shift: timedelta = timedelta(0), until: datetime | None = None) -> Path:
    """Write a collection of dated rows, those after `until` left out, and a run with every document."""
    folder.mkdir()
    dice = random.Random(7)
    corpus = pl.DataFrame(
        {
            "doc_id": [f"d{n:03}" for n in range(DOCUMENTS)],
            "text": [f"word{n} amber" for n in range(DOCUMENTS)],
            "created_at": [NOON + shift + SECOND * dice.randrange(120) for _ in range(DOCUMENTS)],
        }
    )
    queries = pl.DataFrame(
        {
            "query_id": [f"q{n:02}" for n in range(QUERIES)],
            "text": [f"ask{n}" for n in range(QUERIES)],
            "asked_at": [NOON + shift + 10 * SECOND * n for n in range(QUERIES)],
        }
    )
    qrels = pl.DataFrame({"query_id": queries["query_id"], "doc_id": [f"d{9 * n:03}" for n in range(QUERIES)]})
    scores = [(q, d, dice.random()) for q in queries["query_id"] for d in corpus["doc_id"]]
    if until is not None:
        corpus, queries = corpus.filter(pl.col("created_at") <= until), queries.filter(pl.col("asked_at") <= until)
        qrels = qrels.join(queries, on="query_id", how="semi").join(corpus, on="doc_id", how="semi")
    for name, frame in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        frame.write_parquet(folder / f"{name}.parquet")
    known = pl.DataFrame(scores, schema=["query_id", "doc_id", "score"], orient="row")
    known.join(corpus, on="doc_id", how="semi").write_parquet(folder / "run.parquet")
    return folder


def configured(folder: Path, as_of: str = "", **time) -> BuildConfig:
    return BuildConfig(
        name="timed",
        source=SourceConfig(
            format="parquet",
            path=str(folder),
            corpus="corpus.parquet",
            as_of=as_of,
            partition_by="created_at",
            partition_every="hour",
        ),
        mine=MineConfig(
            miners=("run", "random"),
            depth=30,
            random=RandomConfig(depth=30),
            run=RunConfig(path=str(folder / "run.parquet")),
            time=TimeConfig(**time),
        ),
        recipe=RecipeConfig(name="naive", negatives=8),
    )


def moments(folder: Path) -> tuple[dict[str, datetime], dict[str, datetime]]:
    corpus, queries = pl.read_parquet(folder / "corpus.parquet"), pl.read_parquet(folder / "queries.parquet")
    return (
        dict(corpus.select("doc_id", "created_at").iter_rows()),
        dict(queries.select("query_id", "asked_at").iter_rows()),
    )


@pytest.mark.parametrize("grace", [0, 7])
def test_every_candidate_was_there_when_its_query_was_asked(tmp_path, store, select, grace):
    folder = write(tmp_path / "source")
    created, asked = moments(folder)
    found = select(configured(folder, limit=True, grace=f"{grace}s"), store)
    pairs = found.table("candidates").select("query_id", "doc_id").rows()
    ages = [(created[doc] - asked[query]).total_seconds() for query, doc in pairs]
    assert max(ages) == grace  # and one was created at the very last moment
    everything = select(configured(folder), store).table("candidates")
    assert any(created[doc] > asked[query] for query, doc in everything.select("query_id", "doc_id").rows())


def test_another_calendar_gives_the_same_negatives(tmp_path, store, select):
    sets = []
    for number, shift in enumerate([timedelta(0), timedelta(days=3653, hours=5)]):
        sets.append(select(configured(write(tmp_path / str(number), shift), limit=True, grace="3s"), store))
    tables = [found.table("candidates").sort("query_id", "doc_id") for found in sets]
    assert tables[0].equals(tables[1])
    assert sets[0].negatives() == sets[1].negatives()


def test_as_of_a_day_is_the_build_of_that_day(tmp_path, store, select):
    limit = NOON + 60 * SECOND
    later = configured(write(tmp_path / "later"), limit.isoformat())
    # The run knows documents of the future, which is another matter.
    cut = write(tmp_path / "then", until=limit)
    later = later.model_copy(update={"mine": configured(cut).mine})
    found, then = select(later, store), select(configured(cut), Store(tmp_path / "other"))
    assert found.refs.mining.snapshot.content == then.refs.mining.snapshot.content
    assert found.ref.content == then.ref.content
    assert found.negatives() == then.negatives()
    counts = building.describe(later, found.refs, store).source.counts
    asked = QUERIES - 7
    assert (counts["queries_later"], counts["documents_later"]) == (asked, DOCUMENTS - counts["documents"])
    assert counts["qrels"] + counts["qrels_left_out"] == QUERIES
    assert building.describe(later, found.refs, store).config["source"]["as_of"] == later.source.as_of


def test_a_leak_is_not_published(tmp_path, store, select):
    from tasks.gates import check_set

    folder = write(tmp_path / "source")
    config = configured(folder, limit=True)
    found = select(config, store)
    snapshot = open_snapshot(store, found.refs.mining.snapshot)
    selection = building.selection_folder(found.folder)
    promises = [one for one in building.expectations(config) if one.table == "negatives"]
    check_set(found.folder, selection, snapshot, promises, tmp_path / "sound")
    # The same rows where every document is of the day after.
    late = open_snapshot(store, select(configured(folder), store).refs.mining.snapshot)
    moved = tmp_path / "moved"
    (moved / "corpus").mkdir(parents=True)
    for name in late.partitions():
        rows = late.documents(name).with_columns(pl.col("created_at") + timedelta(days=1))
        write_table(rows, "corpus", moved / "corpus" / f"{name}.parquet")
    for name in ("queries", "qrels"):
        (moved / f"{name}.parquet").write_bytes((late.folder / f"{name}.parquet").read_bytes())
    with pytest.raises(ValidationFailed, match=r"1 of .* checks failed.*negatives_known_in_time"):
        check_set(found.folder, selection, replace(late, folder=moved), promises, tmp_path / "leak")
