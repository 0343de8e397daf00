"""What everything after the search costs, step by step, beside the exact search itself in the same run.

    python -m benchmarks.select [--quick] [--queries 20000] [--documents 200000] [--depth 100] [--repetitions 3]
    python -m benchmarks.select --memory [--queries 200000]
    python -m benchmarks.select --peers [--threads 1] [--document-vectors FILE.npy --query-vectors FILE.npy]

Texts of about forty words, vectors of 384 dimensions and a ledger of `depth` candidates for each query are
generated. A repetition times one exact search (`negset.search.search_exact`), then the three rooms that
follow it, as a build runs them: select (merge, recipe perc-pos, tables), validate and publish. `after_search` is
their sum. Processor seconds stand beside those of the clock, since other work on the machine stretches the latter.
Then the parts of the room select are timed apart: there they overlap. Importing Great Expectations
takes the same time whatever the size: it is stated apart. With `--memory` nothing is searched: a child process
runs the rooms for a quarter of the queries and for all of them, and the peaks are compared. With `--peers` the work
after the search is compared with that of sentence-transformers (`benchmarks/select_peers.py`). The last line is one
JSON object.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset import building, selecting
from negset.encoders.encoder import Role
from negset.mining.cell_files import query_keys, write_cell
from negset.mining.cells import mine_cells, plan_cells, query_blocks
from negset.mining.duplicates import find_duplicates, open_duplicates
from negset.mining.ledger import candidate_blocks
from negset.mining.lists import fresh_lists
from negset.mining.miner import MiningInputs
from negset.mining.selection import Selection, select_blocks
from negset.mining.selection_files import write_selection
from negset.mining.selection_inputs import open_selection_inputs
from negset.publishing.assembly import assemble_set
from negset.publishing.publish import Draft, publish_set
from negset.search import Hits, search_exact
from negset.snapshot import Snapshot, build_snapshot, open_snapshot
from negset.store import Store
from negset.vectors import embed_texts, vectors_fingerprint
from schemas.config import BuildConfig, MineConfig, SourceConfig
from schemas.refs import CellRef, EncoderRef, LedgerRefs, MiningRefs, SelectionRef

WORDS, QUERY_WORDS, VOCABULARY = 40, 8, 20_000
ROOMS = ("select_room", "validate_room", "publish_room")
FOUND = 0.9  # share of the queries whose positive is among the candidates


@dataclass(frozen=True)
class Sizes:
    """How much is generated."""

    queries: int
    documents: int
    dimensions: int
    depth: int


class Cost(NamedTuple):
    """Seconds of the clock and of all processors."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Made:
    """A generated ledger: what `building.select` is given, and the store that it lies in."""

    config: BuildConfig
    refs: LedgerRefs
    store: Store


class RandomEncoder:
    """Give each text a random unit vector, drawn from the number in the first id of its batch."""

    fingerprint = "0" * 64

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Draw a vector for each of `ids`."""
        chance = np.random.default_rng([int(ids[0][1:]), role == "query"])
        vectors_ND = chance.standard_normal((len(ids), self.dimensions), dtype=np.float32)
        return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), dtype=np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--memory", action="store_true", help="the peak of a child process in place of times")
    parser.add_argument("--peers", action="store_true", help="beside sentence-transformers, at 5 and 100 negatives")
    parser.add_argument("--document-vectors", type=Path, help="real vectors for --peers")
    parser.add_argument("--query-vectors", type=Path)
    parser.add_argument("--child", choices=("make", "run"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--documents", type=int)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, help="1 with --peers, else 2")
    options = parser.parse_args()
    queries = options.queries or (2_000 if options.quick else 200_000 if options.memory else 20_000)
    documents = options.documents or (20_000 if options.quick else 200_000)
    sizes = Sizes(queries, documents, options.dimensions, options.depth)
    options.threads = options.threads or (1 if options.peers else 2)
    if options.peers:
        options.queries, options.documents = queries, documents
        print(json.dumps(importlib.import_module("benchmarks.select_peers").measure(options)))
    elif options.child:
        print(json.dumps(run_child(options.child, sizes, Path(options.folder))))
    elif options.memory:
        print(json.dumps(measure_memory(sizes)))
    else:
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(options.threads):
            print(json.dumps(measure_times(sizes, Path(folder), options.repetitions, options.threads)))


def measure_times(sizes: Sizes, folder: Path, repetitions: int, threads: int) -> dict[str, object]:
    """Time the search and what follows it, `repetitions` times in turn, and give medians and ratios."""
    made = make_ledger(sizes, folder)
    start = time.perf_counter()
    importlib.import_module("tasks.gates")
    imports = time.perf_counter() - start
    rooms, parts = [], []
    for repetition in range(repetitions):
        rooms.append({"search": time_search(sizes), **time_rooms(made, folder / f"rooms{repetition}")})
        parts.append(time_parts(made, folder / f"parts{repetition}"))
        print({name: round(cost.wall, 3) for name, cost in {**rooms[-1], **parts[-1]}.items()}, flush=True)
    for row in rooms:
        row["after_search"] = Cost(*(sum(values) for values in zip(*(row[name] for name in ROOMS), strict=True)))
    rows = [{**room, **part} for room, part in zip(rooms, parts, strict=True)]
    candidates = sizes.queries * sizes.depth
    return {
        **asdict(sizes),
        **{"threads": threads, "repetitions": repetitions, "cpus": os.cpu_count(), "load": os.getloadavg()[0]},
        "import_of_great_expectations_s": round(imports, 2),
        "seconds": _medians(rows, lambda row, name: row[name].wall),
        "cpu_seconds": _medians(rows, lambda row, name: row[name].cpu),
        "candidates_per_second": _medians(rows, lambda row, name: candidates / row[name].wall, 0),
        "share_of_search": _medians(rows, lambda row, name: row[name].wall / row["search"].wall),
        "cpu_share_of_search": _medians(rows, lambda row, name: row[name].cpu / row["search"].cpu),
    }


def _medians(
    rows: list[dict[str, Cost]], value: Callable[[dict[str, Cost], str], float], digits: int = 3
) -> dict[str, float]:
    """Give the median over `rows` of the `value` of each step."""
    return {name: round(statistics.median(value(row, name) for row in rows), digits) for name in rows[0]}


def time_search(sizes: Sizes) -> Cost:
    """Search once for the generated queries, exactly, and give the seconds."""
    encoder = RandomEncoder(sizes.dimensions)
    queries_QD = encoder.encode([], [f"x{number}" for number in range(sizes.queries)], "query")
    documents_ND = encoder.encode([], [f"x{number}" for number in range(sizes.documents)], "document")
    return _timed(lambda: search_exact(queries_QD, documents_ND, np.full(sizes.queries, sizes.depth)))


def time_rooms(made: Made, folder: Path) -> dict[str, Cost]:
    """Do what a build does after its search, a room at a time, and give the seconds of each."""
    gates = importlib.import_module("tasks.gates")
    report = folder / "report"
    report.mkdir(parents=True)
    facts = building.describe(made.config, made.refs, made.store)
    promises = building.expectations(made.config)
    snapshot = open_snapshot(made.store, made.refs.mining.snapshot)
    key = building.selection_key(made.config, made.refs)
    discarded = made.store.folder(SelectionRef.kind, key)
    shutil.rmtree(discarded, ignore_errors=True)
    select = _timed(lambda: selecting.select(made.config, made.refs, made.store))
    selected = SelectionRef(fingerprint=key, content=key, rows=0)
    staged, counts = made.store.open(selected.kind, key), building.selection_counts(made.store, selected)
    draft = Draft(staged, report, facts, counts, staged, snapshot, building.selection_digests(made.store, selected))
    return {
        "select_room": select,
        "validate_room": _timed(lambda: gates.check_set(staged, staged, snapshot, promises, report)),
        "publish_room": _timed(
            lambda: publish_set(draft, folder / "sets", by="benchmark", at=datetime.now(UTC)),
        ),
    }


def time_parts(made: Made, folder: Path) -> dict[str, Cost]:
    """Do what the room select does, a part at a time, and give the seconds of each."""
    bound = building.bind(made.config)
    seconds: dict[str, Cost] = {}
    inputs = building.open_inputs(made.config, made.refs.mining, made.store)
    blocks: list[pl.DataFrame] = []
    chosen: list[Selection] = []
    seconds["merge"] = _timed(lambda: blocks.extend(candidate_blocks(inputs, made.refs.cells, made.store, bound.by)))
    groups = open_duplicates(made.store, made.refs.duplicates) if made.refs.duplicates else None
    seconds["rules"] = _timed(
        lambda: chosen.extend(select_blocks(blocks, open_selection_inputs(inputs.snapshot, bound, groups), bound))
    )
    seconds["tables"] = _timed(lambda: write_selection(chosen, folder))
    seconds["assemble"] = _timed(lambda: assemble_set(folder, inputs.snapshot, folder))
    return seconds


def _timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


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
    snapshot = open_snapshot(store, ref)
    encoder = RandomEncoder(sizes.dimensions)
    prepared = EncoderRef(fingerprint=encoder.fingerprint, content=encoder.fingerprint, rows=0)
    vectors = {}
    roles: tuple[Role, Role] = ("query", "document")
    for role in roles:
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
    blocks = query_blocks(inputs, "dense")
    for cell in plan_cells(inputs, "dense"):
        queries = blocks[cell.block]
        hits = random_hits(inputs.snapshot, queries.rows, queries.depths, inputs.snapshot.facts.documents)
        with store.staging() as staged:
            lists = fresh_lists(hits, queries.depths)
            content, rows = write_cell(lists, queries.depths, query_keys(queries), staged)
            store.commit(CellRef, cell.fingerprint, content, rows, staged)


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
    """Run the rooms for a quarter of the queries and for all, each in a process of its own, and give the peaks."""
    few = replace(sizes, queries=sizes.queries // 4)
    return {**asdict(sizes), "peak_mb": {str(size.queries): _child_peaks(size) for size in (few, sizes)}}


def _child_peaks(sizes: Sizes) -> dict[str, float]:
    """Make a ledger in one child, so that making it leaves no trace, and run the rooms in another."""
    with tempfile.TemporaryDirectory() as folder:
        given = [part for name, value in asdict(sizes).items() for part in (f"--{name}", str(value))]
        for step in ("make", "run"):
            command = [sys.executable, "-m", "benchmarks.select", "--child", step, "--folder", folder, *given]
            printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    peaks: dict[str, float] = json.loads(printed.splitlines()[-1])
    return peaks


def run_child(step: str, sizes: Sizes, folder: Path) -> dict[str, float]:
    """Make the ledger in `folder`, or run the rooms on it; give this process's peak in megabytes as it grew."""
    kept = folder / "made.json"
    if step == "make":
        made = make_ledger(sizes, folder)
        kept.write_text(json.dumps([made.config.model_dump(), made.refs.model_dump()]))
        return {}
    config, refs = json.loads(kept.read_bytes())
    made = Made(BuildConfig.model_validate(config), LedgerRefs.model_validate(refs), Store(folder / "store"))
    importlib.import_module("tasks.gates")
    before = _peak()
    inputs = building.open_inputs(made.config, made.refs.mining, made.store)
    bound = building.bind(made.config)
    peaks = {"imports": before}
    groups = open_duplicates(made.store, made.refs.duplicates) if made.refs.duplicates else None
    known = open_selection_inputs(inputs.snapshot, bound, groups)
    blocks = candidate_blocks(inputs, made.refs.cells, made.store, bound.by)
    write_selection(select_blocks(blocks, known, bound), folder / "staged")
    peaks["merge_select_write"] = _peak()
    time_rooms(made, folder / "rooms")
    return {**peaks, "all_rooms": _peak()}


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)


if __name__ == "__main__":
    main()
