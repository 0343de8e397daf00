"""What mining costs as queries and documents grow, and ten million documents within three gigabytes.

    python -m benchmarks.scale [--quick]
    python -m benchmarks.scale --big [--documents 10000000] [--dimensions 128] [--queries 1000] [--limit 3GB]

Without `--big` a table: seconds, memory and disk of mining generated vectors at several sizes, each in a process of
its own. With it, one corpus in partitions is prepared (not measured) and mined in a process that is limited to
`--limit` (by a control group, or its address space by RLIMIT_AS), under `resources.memory` of as much; disk is
compared with what was planned. The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.vectors import ENCODER, document_id, generate
from negset import building
from negset.arrays import Matrix
from negset.canonical import SnapshotFacts
from negset.encoders.encoder import Role
from negset.fingerprint import fingerprint
from negset.mining.budget import cells_disk, measure_load, memory_bytes, vectors_disk
from negset.mining.cells import deepest_lists, mine_cells
from negset.partitions import PartitionFacts, Partitioning
from negset.shards import digest_texts, write_shard
from negset.store import Store
from negset.tables import write_table
from negset.text import text_digest
from negset.vectors import Places, commit_places
from schemas.config import BuildConfig, MineConfig, ResourcesConfig, SourceConfig
from schemas.refs import EncoderRef, MiningRefs, SnapshotRef, VectorsRef

Digests = NDArray[np.bytes_]
PART = 250_000
SHARD = 62_500
GROWTH = ((1_000, 50_000), (1_000, 200_000), (4_000, 50_000), (4_000, 200_000), (16_000, 200_000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small sizes")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--limit", default="3GB")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(mine_within(Path(options.child), options.limit)))
    elif options.big:
        print(json.dumps(measure(options.queries, options.documents, options.dimensions, options.limit)))
    else:
        sizes = ((500, 10_000), (500, 40_000)) if options.quick else GROWTH
        print(json.dumps([measure(queries, documents, 128, "") for queries, documents in sizes]))


def measure(queries: int, documents: int, dimensions: int, limit: str) -> dict[str, object]:
    """Prepare a corpus and mine it in a child process; give what that took."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), queries, documents, dimensions)
        command = [sys.executable, "-m", "benchmarks.scale", "--child", folder, "--limit", limit]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        measured: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    row = {"queries": queries, "documents": documents, "dimensions": dimensions, "limit": limit, **measured}
    print(json.dumps(row), flush=True)
    return row


def prepare(folder: Path, queries: int, documents: int, dimensions: int) -> None:
    """Write a snapshot and its vectors, a partition at a time: the texts are numbers."""
    store, shards, digests = Store(folder / "store"), [], []
    contents, facts = {}, {}
    with store.staging() as staged:
        (staged / "corpus").mkdir()
        for start in range(0, documents, PART):
            rows = range(start, min(start + PART, documents))
            name = f"p{start // PART:04d}"
            ids, texts = [document_id(row) for row in rows], [f"document {row}" for row in rows]
            frame = pl.DataFrame({"doc_id": ids, "text": texts, "text_sha256": [text_digest(text) for text in texts]})
            empty = {"title": pl.String, "created_at": pl.Datetime("us", "UTC"), "metadata": pl.String}
            frame = frame.with_columns(**{column: pl.lit(None, dtype=kind) for column, kind in empty.items()})
            write_table(frame, "corpus", staged / "corpus" / f"{name}.parquet")
            contents[name] = fingerprint(name, documents, dimensions)
            facts[name] = PartitionFacts(
                label=name, documents=len(rows), undated=len(rows), first_created=None, last_created=None
            )
            vectors_ND = generate(len(rows), dimensions, 100 + start // PART)
            for first in range(0, len(rows), SHARD):
                made = _shard(store, texts[first : first + SHARD], vectors_ND[first : first + SHARD], "document")
                shards.append(made[0])
                digests.append(made[1])
        asked = [f"q{row:06d}" for row in range(queries)]
        texts = [f"query {row}" for row in range(queries)]
        frame = pl.DataFrame({"query_id": asked, "text": texts, "split": "train"})
        frame = frame.with_columns(
            asked_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
            metadata=pl.lit(None, dtype=pl.String),
            text_sha256=pl.Series([text_digest(text) for text in texts]),
        )
        write_table(frame, "snapshot_queries", staged / "queries.parquet")
        qrels = {"query_id": asked, "doc_id": document_id(0), "relevance": 1, "split": "train"}
        judged = pl.DataFrame(qrels).with_columns(judged_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
        write_table(judged, "qrels", staged / "qrels.parquet")
        snapshot = store.commit(
            SnapshotRef,
            "scale",
            "scale",
            documents,
            staged,
            {
                "counts": _counts(queries, documents),
                "partitioning": Partitioning(by="hash", buckets=len(contents), every="month").model_dump(),
                "partition_contents": contents,
                "partition_facts": {name: one.model_dump(mode="json") for name, one in facts.items()},
            },
        )
    asked_shard = _shard(store, texts, generate(queries, dimensions, 3), "query")
    refs = MiningRefs(
        snapshot=snapshot,
        encoder=EncoderRef(fingerprint=ENCODER, content=ENCODER, rows=0),
        document_vectors=_places(store, "document", shards, digests, dimensions),
        query_vectors=_places(store, "query", [asked_shard[0]], [asked_shard[1]], dimensions),
    )
    (folder / "refs.json").write_text(refs.model_dump_json())


def _counts(queries: int, documents: int) -> dict[str, object]:
    kinds = {name: str(field.annotation) for name, field in SnapshotFacts.model_fields.items()}
    zero = {name: [] if "list" in kind else {} if "dict" in kind else 0 for name, kind in kinds.items()}
    return {**zero, "queries": queries, "documents": documents}


def _shard(store: Store, texts: list[str], vectors_ND: Matrix, role: Role) -> tuple[str, Digests]:
    """Write the vectors of some texts; give the name of the shard and the digests in their order."""
    digests_N = digest_texts(texts, role)
    order_N = np.argsort(digests_N)
    ref = write_shard(store, ENCODER, role, digests_N[order_N], vectors_ND[order_N])
    return ref.fingerprint, digests_N[order_N]


def _places(store: Store, role: Role, shards: list[str], digests: list[Digests], dimensions: int) -> VectorsRef:
    whole_N = np.concatenate(digests)
    number_N = np.repeat(np.arange(len(shards)), [len(part) for part in digests])
    row_N = np.concatenate([np.arange(len(part)) for part in digests])
    order_N = np.argsort(whole_N)
    places_N2 = np.stack([number_N, row_N], axis=1)[order_N].astype(np.uint32)
    return commit_places(store, ENCODER, dimensions, role, f"scale-{role}", Places(shards, whole_N[order_N], places_N2))


def limit_memory(limit: int) -> str:
    """Limit this process by a control group where one can be made, else its address space; say by which.

    A control group kills what takes more, and counts the page cache, which it can drop.
    """
    for root, file in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"negset-scale-{os.getpid()}"
        try:
            group.mkdir()
            (group / file).write_text(str(limit))
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            continue
        return f"control group ({file})"
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return "RLIMIT_AS"


def mine_within(folder: Path, limit: str) -> dict[str, object]:
    """Mine the prepared corpus in this process, limited if asked, and give seconds, memory and disk."""
    enforced = limit_memory(memory_bytes(limit)) if limit else "nothing"
    store, refs = Store(folder / "store"), MiningRefs.model_validate_json((folder / "refs.json").read_text())
    config = BuildConfig(
        name="scale",
        source=SourceConfig(format="parquet"),
        mine=MineConfig(depth=100),
        resources=ResourcesConfig(memory=limit or "8GB"),
    )
    start = time.perf_counter()
    inputs = building.open_inputs(config, refs, store)
    opened = time.perf_counter()
    ref = mine_cells(inputs, "dense", store)
    mined = time.perf_counter()
    sizes = [facts.documents for facts in inputs.snapshot.partition_facts.values()]
    dimensions = building.vector_width(store, refs.document_vectors)
    load = measure_load(inputs.snapshot, deepest_lists(inputs), dimensions)
    vectors = sum(found.rows for found in (refs.document_vectors, refs.query_vectors) if found)
    planned = cells_disk(load, sizes) + vectors_disk(vectors, dimensions, 4)
    written = sum(
        path.stat().st_size
        for kind in ("cell", "members", "shard", "vectors")
        for path in (store.root / kind).rglob("*")
        if path.is_file()
    )
    pairs = len(load.lengths) * sum(sizes)
    return {
        "enforced_by": enforced,
        "partitions": len(sizes),
        "open_s": round(opened - start, 1),
        "mine_s": round(mined - opened, 1),
        "ns_per_pair": round(1e9 * (mined - opened) / pairs, 3),
        "candidates": ref.rows,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "planned_peak_mb": building.mining_budget(config, inputs, dimensions).peak // 10**6,
        "disk_mb": written // 10**6,
        "planned_disk_mb": planned // 10**6,
        "disk_ratio": round(written / planned, 3),
    }


if __name__ == "__main__":
    main()
