"""One input, one version id: whatever the threads, partitions, row order, hash seed and process."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig, TimeConfig
from schemas.encoder import EncoderConfig

_WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch marsh oxbow pine quarry".split()

_DAY = datetime(2024, 1, 1, tzinfo=UTC)

_PUBLISH = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import select_set
from negset import building
from negset.publishing.publish import Draft, publish_set
from negset.snapshot import open_snapshot
from negset.store import Store
from schemas.config import BuildConfig
from tasks.gates import check_set

for text, folder in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
    config, home = BuildConfig.model_validate_json(text), Path(folder)
    store = Store(home / "store")
    found = select_set(config, store)
    snapshot = open_snapshot(store, found.refs.mining.snapshot)
    selection = building.selection_folder(found.folder)
    check_set(found.folder, selection, snapshot, building.expectations(config), home / "gates", config.mine.splits)
    counts = building.selection_counts(store, found.ref)
    facts = building.describe(config, found.refs, store)
    draft = Draft(found.folder, home / "gates", facts, counts, selection, snapshot)
    print(publish_set(draft, home / "sets", by="test", at=datetime.now(UTC)).fingerprint)
"""


def _write(folder: Path, seed: int | None) -> None:
    """Write a collection, its rows shuffled by `seed`; many documents score the same, so that ties decide."""
    folder.mkdir()
    texts = [f"{_WORDS[n % 16]} {_WORDS[n // 3 % 16]} {_WORDS[n // 7 % 16]} {_WORDS[n // 11 % 16]}" for n in range(400)]
    corpus = pl.DataFrame(
        {
            "doc_id": [f"d{n:03}" for n in range(400)],
            "title": [f"t{n % 5}" for n in range(400)],
            "text": texts,
            "created_at": [None if n % 9 == 0 else _DAY + timedelta(days=n % 50) for n in range(400)],
            "shelf": [f"../{n % 4} ß" for n in range(400)],
        }
    )
    queries = pl.DataFrame(
        {
            "query_id": [f"q{n:02}" for n in range(40)],
            "text": [f"{_WORDS[n % 16]} {_WORDS[n // 2 % 16]} ask{n}" for n in range(40)],
            "split": ["test" if n % 5 == 0 else "train" for n in range(40)],
            "asked_at": [None if n % 7 == 0 else _DAY + timedelta(days=n) for n in range(40)],
        }
    )
    qrels = pl.DataFrame(
        {"query_id": [f"q{n // 2:02}" for n in range(80)], "doc_id": [f"d{n * 5:03}" for n in range(80)]}
    )
    qrels = qrels.with_columns(relevance=pl.lit(1, dtype=pl.Int32))
    for name, frame in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        rows = frame if seed is None else frame.sample(fraction=1.0, shuffle=True, seed=seed)
        rows.write_parquet(folder / f"{name}.parquet")


def _config(source: Path, number: int, cut: dict[str, object], block: int) -> BuildConfig:
    return BuildConfig(
        name="same",
        source=SourceConfig(format="parquet", path=str(source), **cut),
        encoder=EncoderConfig(backend="lsa", dimensions=16, shard_size=100 + number),
        mine=MineConfig(
            miners=("dense", "bm25", "random"),
            depth=30,
            splits=("train",),
            query_block=block,
            time=TimeConfig(limit=True, grace="1d"),
        ),
        recipe=RecipeConfig(name="star", negatives=4),
    )


@pytest.mark.flow
def test_the_version_id_knows_only_the_rows(tmp_path):
    cuts: list[tuple[dict[str, object], int | None, int]] = [
        ({}, None, 4096),
        ({"partition_by": "column:shelf"}, 8, 13),
        ({"partitions": 3}, 5, 7),
        ({"partitions": 7}, 6, 11),
        ({"partition_by": "created_at", "partition_every": "week"}, 7, 40),
    ]
    ids = []
    for hash_seed, threads, numbers in (("0", "1", (0, 1)), ("77", "2", (2, 3, 4))):
        arguments = [str(Path(__file__).parents[1])]
        for number in numbers:
            cut, shuffle, block = cuts[number]
            source = tmp_path / f"source{number}"
            _write(source, shuffle)
            config = _config(source, number, cut, block)
            arguments += [config.model_dump_json(), str(tmp_path / f"home{number}")]
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "POLARS_MAX_THREADS": threads,
        }
        run = subprocess.run(
            [sys.executable, "-c", _PUBLISH, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        ids += run.stdout.split()[-len(numbers) :]
    assert len(set(ids)) == 1, _differences(tmp_path, ids)


def _differences(folder: Path, ids: list[str]) -> list[str]:
    """Name what differs between the manifests, for whoever has to mend it."""
    manifests = [
        json.loads((folder / f"home{number}" / "sets" / "same" / "versions" / name / "manifest.json").read_text())
        for number, name in enumerate(ids)
    ]
    return sorted(key for key in manifests[0] if any(other[key] != manifests[0][key] for other in manifests))
