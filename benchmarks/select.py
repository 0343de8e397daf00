"""What everything after the search costs, step by step, beside the exact search itself in the same run.

    python -m benchmarks.select [--quick] [--queries 20000] [--documents 200000] [--depth 100] [--repetitions 3]
    python -m benchmarks.select --memory [--queries 200000]

Texts of about forty words, vectors of 384 dimensions and a ledger of `depth` candidates for each query are
generated; nothing is mined. Each repetition times one exact search (float32, `negset.search.search_exact`) and then
each step after it: merge, select (recipe perc-pos), write, assemble, validate, publish. Importing Great
Expectations takes the same time whatever the size: it is stated apart. With `--memory` nothing is searched, and
the last line says how far the peak of a child process rose over the same work on a tenth of the queries. The last
line is one JSON object.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset import building
from negset.mining.cells import FILE, cell_frame, mine_cells, open_documents, plan_cells, query_blocks
from negset.mining.duplicates import find_duplicates, open_duplicates
from negset.mining.ledger import candidate_blocks
from negset.mining.miner import MiningInputs
from negset.mining.positives import doc_ids
from negset.mining.selection import select_blocks
from negset.mining.selection_files import write_selection
from negset.mining.selection_inputs import open_selection_inputs
from negset.publishing.assembly import assemble_set
from negset.publishing.publish import Draft, publish_set
from negset.search import Hits, search_exact
from negset.snapshot import Snapshot, build_snapshot
from negset.store import Store
from negset.tables import write_table
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.config import BuildConfig, MineConfig, SourceConfig
from schemas.refs import CellRef, EncoderRef, LedgerRefs, MiningRefs

WORDS, QUERY_WORDS, VOCABULARY = 40, 8, 20_000
FOUND = 0.9  # share of the queries whose positive is among the candidates

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Sizes:
    """How much is generated."""

    queries: int
    documents: int
    dimensions: int
    depth: int


@dataclass(frozen=True)
class Made:
    """A generated ledger: what `building.select` is given, and the store that it lies in."""

    config: BuildConfig
    refs: LedgerRefs
    store: Store


class RandomEncoder:
    """Give each text a random unit vector, drawn from the number in its id."""

    fingerprint = "0" * 64

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def encode(self, texts: object, ids: list[str], role: str) -> NDArray[np.float32]:
        """Draw a vector for each of `ids`."""
        chance = np.random.default_rng([len(ids), int(ids[0][1:]), role == "query"])
        vectors_ND = chance.standard_normal((len(ids), self.dimensions), dtype=np.float32)
        return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), dtype=np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--memory", action="store_true", help="the peak of a child process in place of times")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--documents", type=int)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    queries = options.queries or (2_000 if options.quick else 200_000 if options.memory else 20_000)
    documents = options.documents or (20_000 if options.quick else 200_000)
    sizes = Sizes(queries, documents, options.dimensions, options.depth)
    if options.child:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure_peak(sizes, Path(folder))))
    elif options.memory:
        print(json.dumps(measure_memory(sizes)))
    else:
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(options.threads):
            print(json.dumps(measure_times(sizes, Path(folder), options.repetitions, options.threads)))


def measure_times(sizes: Sizes, folder: Path, repetitions: int, threads: int) -> dict[str, object]:
    """Time the search and each step after it, `repetitions` times in turn, and give medians and ratios."""
    made = make_ledger(sizes, folder)
    start = time.perf_counter()
    importlib.import_module("tasks.gates")
    imports = time.perf_counter() - start
    rows = []
    for repetition in range(repetitions):
        rows.append({"search": time_search(sizes), **time_steps(made, folder / str(repetition))})
        print(json.dumps({name: round(value, 3) for name, value in rows[-1].items()}), flush=True)
    after = [sum(value for name, value in row.items() if name != "search") for row in rows]
    candidates = sizes.queries * sizes.depth
    seconds = {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
    return {
        **{"queries": sizes.queries, "documents": sizes.documents, "dimensions": sizes.dimensions},
        **{"depth": sizes.depth, "threads": threads, "repetitions": repetitions, "cpus": os.cpu_count()},
        "import_of_great_expectations_s": round(imports, 2),
        "seconds": {**seconds, "after_search": round(statistics.median(after), 3)},
        "candidates_per_second": {
            name: round(candidates / value) for name, value in seconds.items() if name != "search"
        },
        "share_of_search": {
            **{name: round(value / seconds["search"], 4) for name, value in seconds.items() if name != "search"},
            "after_search": round(statistics.median(sum_ / row["search"] for sum_, row in zip(after, rows)), 4),
        },
    }


def time_search(sizes: Sizes) -> float:
    """Search once for the generated queries, exactly, and give the seconds."""
    queries_QD, documents_ND = (
        RandomEncoder(sizes.dimensions).encode((), [f"x{seed}"] * count, "query")
        for seed, count in ((1, sizes.queries), (2, sizes.documents))
    )
    start = time.perf_counter()
    search_exact(queries_QD, documents_ND, np.full(sizes.queries, sizes.depth))
    return time.perf_counter() - start


def time_steps(made: Made, folder: Path) -> dict[str, float]:
    """Do what a build does after its search, a step at a time, and give the seconds of each."""
    folder.mkdir()
    gates = importlib.import_module("tasks.gates")
    staged, report = folder / "staged", folder / "report"
    report.mkdir()
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], ValueT]) -> ValueT:
        start = time.perf_counter()
        value = work()
        seconds[step] = time.perf_counter() - start
        return value

    bound = building.bind(made.config)
    inputs = building.open_inputs(made.config, made.refs.mining, made.store)
    blocks = timed("merge", lambda: list(candidate_blocks(inputs, made.refs.cells, made.store, bound.by)))
    chosen = timed("select", lambda: list(select_blocks(blocks, _known(made, inputs), bound)))
    timed("write", lambda: write_selection(chosen, staged))
    counts = timed("assemble", lambda: assemble_set(staged, inputs.snapshot, staged))
    promises = building.expectations(made.config)
    timed("validate", lambda: gates.check_set(staged, staged, inputs.snapshot, promises, report))
    facts = building.describe(made.config, made.refs, made.store)
    draft = Draft(staged, report, facts, counts, staged, inputs.snapshot)
    timed("publish", lambda: publish_set(draft, folder / "sets", by="benchmark", at=datetime.now(UTC)))
    return seconds


def _known(made: Made, inputs: MiningInputs) -> object:
    groups = open_duplicates(made.store, made.refs.duplicates) if made.refs.duplicates else None
    return open_selection_inputs(inputs.snapshot, building.bind(made.config), groups)


def make_ledger(sizes: Sizes, folder: Path) -> Made:
    """Generate a corpus, queries, vectors and the cells of a miner of `sizes` in `folder`."""
    source = write_source(sizes, folder / "source")
    config = BuildConfig(
        name="generated",
        source=SourceConfig(format="parquet", path=str(source)),
        mine=MineConfig(depth=sizes.depth),
    )
    store = Store(folder / "store")
    ref = build_snapshot(config.source, store)
    snapshot = building.open_snapshot(store, ref)
    encoder = RandomEncoder(sizes.dimensions)
    prepared = EncoderRef(fingerprint=encoder.fingerprint, content=encoder.fingerprint, rows=0)
    vectors = {}
    for role in ("query", "document"):
        ids, texts = building.role_texts(snapshot, role)
        key = vectors_fingerprint(prepared, snapshot.content, role)
        vectors[f"{role}_vectors"] = embed_texts(encoder, ids, texts, role, store, config.encoder.shard_size, key)
    with store.staging() as staged:
        store.commit(EncoderRef, encoder.fingerprint, encoder.fingerprint, 0, staged)
    mining = MiningRefs(snapshot=ref, encoder=prepared, **vectors)
    inputs = building.open_inputs(config, mining, store)
    fill_cells(inputs, store)
    cells = {"dense": mine_cells(inputs, "dense", store)}
    return Made(config, LedgerRefs(mining=mining, cells=cells, duplicates=find_duplicates(snapshot, store)), store)


def write_source(sizes: Sizes, folder: Path) -> Path:
    """Write documents of random words, and queries that are made of words of their positive."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(7)
    words = pl.Series([f"w{number:05d}" for number in range(VOCABULARY)])
    words_NW = chance.integers(0, VOCABULARY, (sizes.documents, WORDS))
    positive_Q = chance.integers(0, sizes.documents, sizes.queries)
    taken_QW = words_NW[positive_Q][:, chance.permutation(WORDS)[:QUERY_WORDS]]
    doc_id = [f"d{number:08d}" for number in range(sizes.documents)]
    query_id = [f"q{number:08d}" for number in range(sizes.queries)]
    _texts("doc_id", doc_id, words_NW, words).write_parquet(folder / "corpus.parquet")
    _texts("query_id", query_id, taken_QW, words).write_parquet(folder / "queries.parquet")
    labels = {"query_id": query_id, "doc_id": [doc_id[row] for row in positive_Q.tolist()], "relevance": 1}
    pl.DataFrame(labels).write_parquet(folder / "qrels.parquet")
    return folder


def _texts(key: str, ids: list[str], words_NW: NDArray[np.int64], words: pl.Series) -> pl.DataFrame:
    lists = words.gather(words_NW.ravel()).reshape(words_NW.shape).arr.to_list()
    return pl.DataFrame({key: ids, "text": lists.list.join(" ")})


def fill_cells(inputs: MiningInputs, store: Store) -> None:
    """Put random candidates with falling scores into every cell of the miner `dense`."""
    blocks, ids = query_blocks(inputs, "dense"), doc_ids(inputs.snapshot)
    for cell in plan_cells(inputs, "dense"):
        queries, documents = blocks[cell.block], open_documents(inputs, cell.partition, ids)
        hits = random_hits(inputs.snapshot, queries.rows, queries.depths, len(documents.rows))
        with store.staging() as staged:
            write_table(cell_frame("dense", queries, documents, hits), "cell", staged / FILE, presorted=True)
            store.commit(CellRef, cell.fingerprint, cell.fingerprint, len(hits), staged)


def random_hits(snapshot: Snapshot, rows: NDArray[np.int64], depths: NDArray[np.int64], documents: int) -> Hits:
    """Draw `depths` distinct documents for each query, for most of them the positive among the first."""
    chance = np.random.default_rng(int(rows[0]))
    depth = int(depths.max())
    # Steps of at least 1 round the corpus: distinct without a permutation for each query.
    steps_QK = chance.integers(1, documents // depth, (len(rows), depth))
    doc_QK = (chance.integers(0, documents, (len(rows), 1)) + np.cumsum(steps_QK, axis=1)) % documents
    doc_QK = chance.permuted(doc_QK, axis=1)
    positive_Q = _positives(snapshot)[rows]
    place_Q = chance.integers(0, 10, len(rows))
    found_Q = (chance.random(len(rows)) < FOUND) & ~(doc_QK == positive_Q[:, None]).any(axis=1)
    doc_QK[np.flatnonzero(found_Q), place_Q[found_Q]] = positive_Q[found_Q]
    score_QK = np.round(-np.sort(-chance.beta(20, 20, doc_QK.shape), axis=1), 6)
    order = np.lexsort((doc_QK.ravel(), -score_QK.ravel(), np.repeat(np.arange(len(rows)), depth)))
    return Hits(np.repeat(np.arange(len(rows)), depth), doc_QK.ravel()[order], score_QK.ravel()[order])


def _positives(snapshot: Snapshot) -> NDArray[np.int64]:
    """Give the row of each query's positive; the ids are numbers."""
    return snapshot.qrels().get_column("doc_id").str.slice(1).cast(pl.Int64).to_numpy()


def measure_memory(sizes: Sizes) -> dict[str, object]:
    """Run the steps in a child process each for a tenth of the queries and for all, and give both peaks."""
    few = Sizes(sizes.queries // 10, sizes.documents, sizes.dimensions, sizes.depth)
    peaks = {size.queries: _child_peak(size) for size in (few, sizes)}
    return {"depth": sizes.depth, "documents": sizes.documents, "peaks_mb_by_queries": peaks}


def _child_peak(sizes: Sizes) -> dict[str, float]:
    given = ("queries", "documents", "dimensions", "depth")
    arguments = [part for name in given for part in (f"--{name}", str(getattr(sizes, name)))]
    command = [sys.executable, "-m", "benchmarks.select", "--child", *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peaks: dict[str, float] = json.loads(printed.splitlines()[-1])
    return peaks


def measure_peak(sizes: Sizes, folder: Path) -> dict[str, float]:
    """Give the peak of each step in megabytes, each in a fork of this process."""
    raise NotImplementedError


if __name__ == "__main__":
    main()
