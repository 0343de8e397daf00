"""On real collections the gates let clean sets through, and find a document that was stuffed with common words."""

import shutil

import polars as pl
import pytest

from negset.gates.checking import content_checks
from negset.snapshot import open_snapshot
from negset.sources.recognise import recognise_source
from schemas.config import BuildConfig, MineConfig, RecipeConfig

pytestmark = pytest.mark.data


def checked(folder, store, select, miners=("dense", "bm25"), splits=()):
    config = BuildConfig(
        name="real",
        source=recognise_source(str(folder)),
        mine=MineConfig(miners=miners, splits=splits),
        recipe=RecipeConfig(name="perc-pos", negatives=5),
    )
    selected = select(config, store)
    snapshot = open_snapshot(store, selected.refs.mining.snapshot)
    return {check.name: check for check in content_checks(config, selected.folder, selected.folder, snapshot)}


@pytest.mark.parametrize(("name", "splits"), [("cranfield", ()), ("cosqa", ())])
def test_a_clean_collection_fails_no_gate(shared_data, store, select, name, splits):
    checks = checked(shared_data / name, store, select, splits=splits)
    assert [check.name for check in checks.values() if not check.passed and check.severity == "critical"] == []
    assert checks["negatives_shortcut"].value < 0.75
    assert checks["documents_evaluated"].passed


def test_a_stuffed_document_is_the_one_hub(shared_data, store, select, tmp_path):
    folder = tmp_path / "scifact"
    shutil.copytree(shared_data / "scifact", folder)
    path = next(folder.glob("corpus*.parquet"))
    corpus, queries = pl.read_parquet(path), pl.read_parquet(next(folder.glob("queries*.parquet")))
    words = queries.select(pl.col("text").str.to_lowercase().str.extract_all(r"\w{4,}")).explode("text")["text"]
    common = words.value_counts(sort=True).sort("count", "text", descending=[True, False])["text"].head(400)
    stuffed = corpus.head(1).with_columns(doc_id=pl.lit("stuffed"), title=pl.lit(""), text=pl.lit(" ".join(common)))
    pl.concat([corpus, stuffed]).write_parquet(path)
    found = checked(folder, store, select, miners=("bm25",), splits=("train",))["candidates_hub_bm25"]
    assert [row["doc_id"] for row in found.rows] == ["stuffed"]
    assert found.value > 0.113  # the share that was measured of one poisoned document
    assert found.severity == "critical"
