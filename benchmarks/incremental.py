"""What a changed corpus costs: the first build, then the same with one document in a hundred changed at random.

    python -m benchmarks.incremental [--quick] [--queries 20000] [--documents 200000] [--partitions 1]
                                     [--changed 0.01] [--rounds 3]

A third of the changed documents is gone, a third is new, a third has another text under the same id. Each round
mines the first corpus into an empty store, then the changed one into the same store, then the changed one into an
empty store, whose cells must be the same bytes. Only mining is timed (reading the snapshot's partitions, comparing,
searching, patching, writing); reading the source and encoding are not. The last line is one JSON object.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.vectors import RowEncoder, document_id, embed_collection, generate, write_collection
from negset import building
from negset.arrays import Matrix
from negset.mining.cell_files import CANDIDATES
from negset.mining.cells import listed_cells, mine_cells
from negset.store import Store
from schemas.config import BuildConfig, MineConfig, SourceConfig
from schemas.refs import CellsRef


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 queries, 20,000 documents, one round")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--changed", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.queries, options.documents, options.rounds = 2_000, 20_000, 1
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder))))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Build, change, build again, and compare."""
    encoder, before, after = make_corpora(options)
    rows = []
    for _ in range(options.rounds):
        first, second, whole = (Store(folder / name) for name in ("followed", "followed", "whole"))
        rows.append(
            {
                "first": time_mining(options, folder / "before", before, encoder, first),
                "second": time_mining(options, folder / "after", after, encoder, second),
                "whole": time_mining(options, folder / "after", after, encoder, whole),
            }
        )
        same = cells_bytes(second) == cells_bytes(whole)
        print(
            json.dumps({name: {"seconds": row[0], "scored": row[1]} for name, row in rows[-1].items()}),
            same,
            flush=True,
        )
        for name in ("followed", "whole"):
            shutil.rmtree(folder / name)
    seconds = {name: statistics.median(row[name][0] for row in rows) for name in rows[0]}
    scored = {name: rows[0][name][1] for name in rows[0]}
    return {
        **{name: getattr(options, name) for name in ("queries", "documents", "dimensions", "partitions", "changed")},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "scored_pairs": scored,
        "share_of_pairs": round(scored["second"] / scored["first"], 4),
        "share_of_time": round(statistics.median(row["second"][0] / row["first"][0] for row in rows), 3),
        "same_bytes_as_whole": same,
    }


def make_corpora(options: argparse.Namespace) -> tuple[RowEncoder, dict[str, int], dict[str, int]]:
    """Give vectors, the documents of the first corpus and those of the second, each with its row of the vectors."""
    changed = int(options.documents * options.changed)
    documents_ND: Matrix = generate(options.documents + changed, options.dimensions, 2)
    encoder = RowEncoder({"query": generate(options.queries, options.dimensions, 3), "document": documents_ND})
    before = {document_id(number): number for number in range(options.documents)}
    after, fresh = dict(before), iter(range(options.documents, options.documents + changed))
    chosen = np.random.default_rng(5).choice(np.arange(1, options.documents), changed, replace=False)
    for at, number in enumerate(chosen.tolist()):
        if at % 3 == 0:
            del after[document_id(number)]
        elif at % 3 == 1:
            after[document_id(number)] = next(fresh)
        else:
            row = next(fresh)
            after[document_id(row)] = row
    return encoder, before, after


def time_mining(
    options: argparse.Namespace, folder: Path, row_of: dict[str, int], encoder: RowEncoder, store: Store
) -> tuple[float, int]:
    """Read and embed the corpus, then mine it; give the seconds of mining and the pairs it scored."""
    source = write_collection(folder, row_of, options.queries, options.partitions)
    refs = embed_collection(source, encoder, store)
    config = build_config(source)
    inputs = building.open_inputs(config, refs, store)
    start = time.perf_counter()
    ref = mine_cells(inputs, "dense", store)
    return time.perf_counter() - start, int(str(store.manifest(CellsRef.kind, ref.fingerprint).facts["scored"]))


def build_config(source: SourceConfig) -> BuildConfig:
    """Give a configuration of the dense miner alone."""
    return BuildConfig(name="incremental", source=source, mine=MineConfig(depth=100))


def cells_bytes(store: Store) -> dict[str, bytes]:
    """Give the candidates of every cell of the latest mined corpus."""
    latest = max((store.root / CellsRef.kind).iterdir(), key=lambda path: path.stat().st_mtime)
    found = store.ref(CellsRef, latest.name)
    cells = listed_cells(store, found) if found is not None else []
    return {cell.fingerprint: (store.open("cell", cell.fingerprint) / CANDIDATES).read_bytes() for cell in cells}


if __name__ == "__main__":
    main()
