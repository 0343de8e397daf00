"""tldr's four yearly states: each built from the one before is what it is when built from nothing."""

from datetime import datetime

import polars as pl
import pytest

from negset import building
from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.mining.cell_files import CANDIDATES
from negset.mining.cells import listed_cells, mine_cells
from negset.mining.statistics import prepare_statistics
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.config import Bm25Config, BuildConfig, ColumnsConfig, MineConfig, SourceConfig
from schemas.encoder import EncoderConfig
from schemas.refs import MiningRefs

YEARS = {2023: (1, 1), 2024: (0.3, 0.5), 2025: (0.3, 0.5), 2026: (1, 1)}
"""Year to the share of all pairs that is scored: new queries see all documents, others what came or was reworded. In
2025 more than half of the pages were reworded, so that the last state is mined from nothing."""
MINERS = ("dense", "bm25", "random")


def mine_year(folder, year, store):
    """Mine the state of `year` with an encoder and statistics that do not follow the corpus; give what each scored."""
    config = BuildConfig(
        name="tldr",
        source=SourceConfig(
            format="parquet",
            path=str(folder),
            corpus="corpus_snapshots.parquet",
            columns=ColumnsConfig(version_at="as_of", asked_at="created_at"),
            as_of=datetime(year, 1, 1),
            partitions=2,
        ),
        encoder=EncoderConfig(backend="hashing", dimensions=32),
        mine=MineConfig(miners=MINERS, depth=20, bm25=Bm25Config(pin="2023")),
    )
    ref = build_snapshot(config.source, store)
    snapshot = open_snapshot(store, ref)
    prepared = prepare_encoder(config.encoder, snapshot, store)
    refs = MiningRefs(snapshot=ref, encoder=prepared)
    for role in ("query", "document"):
        ids, texts = building.role_texts(snapshot, role)
        key = vectors_fingerprint(prepared, snapshot.content, role)
        vectors = embed_texts(open_encoder(config.encoder, store, prepared), ids, texts, role, store, 8192, key)
        refs = refs.model_copy(update={f"{role}_vectors": vectors})
    statistics = prepare_statistics(config.mine.bm25, snapshot, store, dataset=config.name)
    inputs = building.open_inputs(config, refs.model_copy(update={"statistics": statistics}), store)
    mined = {miner: mine_cells(inputs, miner, store) for miner in MINERS}
    scored = {miner: store.manifest("cells", cells.fingerprint).facts["scored"] for miner, cells in mined.items()}
    return mined, scored


def every_twentieth_query(source, folder):
    """Write the collection with fewer queries: all would take minutes."""
    folder.mkdir()
    (folder / "corpus_snapshots.parquet").symlink_to(source / "corpus_snapshots.parquet")
    queries = pl.read_parquet(source / "queries.parquet").gather_every(20)
    queries.write_parquet(folder / "queries.parquet")
    qrels = pl.read_parquet(source / "qrels.parquet")
    qrels.join(queries, on="query_id", how="semi").write_parquet(folder / "qrels.parquet")
    return folder


def cell_bytes(store, mined):
    return {
        (miner, cell.block, cell.partition): (store.open("cell", cell.fingerprint) / CANDIDATES).read_bytes()
        for miner, cells in mined.items()
        for cell in listed_cells(store, cells)
    }


@pytest.mark.data
def test_each_year_built_from_the_one_before_is_the_year_built_from_nothing(shared_data, tmp_path):
    folder, followed = every_twentieth_query(shared_data / "tldr", tmp_path / "tldr"), Store(tmp_path / "followed")
    for year, (low, high) in YEARS.items():
        mined, scored = mine_year(folder, year, followed)
        fresh = Store(tmp_path / str(year))
        if year > 2023:  # the pin is part of what is built, and is carried over like a configuration
            mine_year(folder, 2023, fresh)
            for name in ("lineage", "cell", "cells", "members"):
                (fresh.root / name).rename(tmp_path / f"{year}-{name}")
        whole, everything = mine_year(folder, year, fresh)
        assert mined == whole
        assert cell_bytes(followed, mined) == cell_bytes(fresh, whole)
        for miner in MINERS:
            share = scored[miner] / everything[miner]
            assert low <= share <= high, f"{miner} scored {share:.2f} of all pairs in {year}"
