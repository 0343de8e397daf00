"""Encoding and searching alone, as a build does them: what its whole-process time is compared with.

    python -m benchmarks.bare_search CONFIG HOME

Prints a JSON list of two figures: seconds of encoding (fit, embed) and of searching (statistics, cells), without
imports and without reading the source.
"""

import json
import sys
import time
from pathlib import Path

import sklearn.utils.extmath  # noqa: F401 - an import is not encoding: it is made before the clock starts

from negset import building
from negset.configuration import load_build_config
from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.mining.cells import mine_cells
from negset.mining.statistics import prepare_statistics
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.refs import MiningRefs


def main() -> None:
    """Encode and search, and print how long each took."""
    config, store = load_build_config(Path(sys.argv[1])), Store(Path(sys.argv[2]))
    ref = build_snapshot(config.source, store)
    snapshot = open_snapshot(store, ref)

    start = time.perf_counter()
    prepared = prepare_encoder(config.encoder, snapshot, store)
    encoder = open_encoder(config.encoder, store, prepared)
    vectors = {}
    for role in ("query", "document"):
        ids, texts = building.role_texts(snapshot, role)
        key = vectors_fingerprint(prepared, snapshot.content, role)
        vectors[f"{role}_vectors"] = embed_texts(encoder, ids, texts, role, store, config.encoder.shard_size, key)
    encoded = time.perf_counter()

    statistics = prepare_statistics(config.mine.bm25, snapshot, store, dataset=config.name)
    refs = MiningRefs(snapshot=ref, encoder=prepared, statistics=statistics, **vectors)
    inputs = building.open_inputs(config, refs, store)
    for miner in config.mine.miners:
        mine_cells(inputs, miner, store)
    print(json.dumps([encoded - start, time.perf_counter() - encoded]))


if __name__ == "__main__":
    main()
