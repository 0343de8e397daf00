"""Batch plans of many queries: seconds, CPU seconds and peak memory of making them, writing them and reading them back.

    python -m benchmarks.batch_plans [--quick] [--queries 1000000] [--dimensions 128] [--batch-size 256]
                                     [--plans ngame,shuffled] [--threads 2]

Vectors are drawn around topics of about 30 queries each; a query has one positive. Each plan is made in a process of
its own: two epochs, clusters of 32 and then of 64 for NGAME. `prepare` is what a plan does once, with the first epoch;
`made` all of it, both epochs' tables written; `read` is the trainer's reader going through the first epoch. `hits` is
the share of the 8 nearest neighbours of 2,000 queries that are in their batch, beside that of a random order. CPU
seconds are those of the process, so that others on the machine do not count. The last line is one JSON object.
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

from negset.arrays import Matrix, Rows
from negset.batching.inputs import PlanInputs
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.lots import id_keys
from negset.training.examples import Examples, Groups

_BLOCK = 1 << 16
_ASKED = 2000
_OPTIONS = {
    "ngame": {"size": 32, "doublings": "1"},
    "tas-balanced": {"pairs": False},
    "sample4geo": {"geo_epochs": 0},
    "openshape": {"compare": "query"},
}


def main() -> None:
    """Write the vectors, then make each plan in a process of its own."""
    options = _options()
    if options.side:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as name:
        write_vectors(Path(name) / "vectors.npy", options.queries, options.dimensions)
        found = {plan: _run(plan, Path(name), options) for plan in options.plans.split(",")}
    sizes = {"queries": options.queries, "dimensions": options.dimensions, "batch_size": options.batch_size}
    print(json.dumps({**sizes, "threads": options.threads, "plans": found}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50,000 queries")
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plans", default="ngame,shuffled")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.queries = 50_000
    return options


def write_vectors(path: Path, queries: int, dimensions: int) -> None:
    """Write vectors of length one around random topics, a block at a time."""
    chance = np.random.default_rng(5)
    topics = max(queries // 30, 1)
    centres_TD = chance.standard_normal((topics, dimensions), dtype=np.float32)
    vectors_QD = np.lib.format.open_memmap(path, "w+", np.float32, (queries, dimensions))
    for start in range(0, queries, _BLOCK):
        rows = min(_BLOCK, queries - start)
        part = centres_TD[chance.integers(0, topics, rows)] + chance.standard_normal(
            (rows, dimensions), dtype=np.float32
        )
        vectors_QD[start : start + rows] = part / np.linalg.norm(part, axis=1, keepdims=True)


def _run(plan: str, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")}
    own = ["--side", plan, "--folder", str(folder), "--queries", str(options.queries)]
    more = ["--batch-size", str(options.batch_size), "--threads", str(options.threads)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.batch_plans", *own, *more],
        env={**os.environ, **threads},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    print(f"{plan}: {found}", file=sys.stderr)
    return found


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Make one plan and read it back."""
    from negset.batching.making import write_plan

    folder = Path(options.folder)
    inputs = _inputs(np.load(folder / "vectors.npy"))
    found = find_plan(options.side)
    params = plan_params(found, _OPTIONS.get(options.side, {}))
    settings = PlanSettings(13, options.batch_size, 2, passes=2)
    at, cpu = time.perf_counter(), time.process_time()
    visit = found.open(inputs, settings, params)
    visits = visit(0)
    prepared, prepared_cpu = time.perf_counter() - at, time.process_time() - cpu
    counts, _ = write_plan(inputs, found, params, settings, visit, folder / options.side)
    made, made_cpu = time.perf_counter() - at, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    read = _read(folder / options.side, inputs, counts, options)
    batch_Q = np.empty(len(inputs.query_ids), dtype=np.int64)
    batch_Q[visits.query_V] = visits.batch_V
    return {
        "prepare_s": round(prepared, 1),
        "prepare_cpu_s": round(prepared_cpu, 1),
        "made_s": round(made, 1),
        "made_cpu_s": round(made_cpu, 1),
        "peak_gb": round(peak, 2),
        **read,
        "bytes": sum(path.stat().st_size for path in (folder / options.side).rglob("*.parquet")),
        "hits": round(_hits(inputs.vectors(), batch_Q), 3),
        "hits_by_chance": round(options.batch_size / len(batch_Q), 6),
    }


def _inputs(vectors_QD: Matrix) -> PlanInputs:
    queries = len(vectors_QD)
    ids = [f"q{row:07}" for row in range(queries)]
    each = Groups(np.arange(queries + 1, dtype=np.int64), np.arange(queries, dtype=np.int64))
    none = Groups(np.zeros(queries + 1, dtype=np.int64), np.empty(0, dtype=np.int64))
    documents = [f"d{row:07}" for row in range(queries)]
    return PlanInputs(ids, id_keys(ids), documents, each, each, none, vectors=lambda: vectors_QD)


def _read(folder: Path, inputs: PlanInputs, counts: list[object], options: argparse.Namespace) -> dict[str, float]:
    """Go through the first epoch as a training run does."""
    from negset.batching.following import training_plan
    from negset.batching.reading import OpenedPlan
    from schemas.batches import EpochCounts, PlanManifest

    manifest = PlanManifest(
        strategy=options.side,
        version=1,
        options={},
        seed=13,
        batch_size=options.batch_size,
        in_batch=True,
        split="train",
        dataset="generated",
        set_version="",
        queries=len(inputs.query_ids),
        never_visited=0,
        visits_per_query=(1.0, 1.0, 1.0),
        epochs=tuple(one for one in counts if isinstance(one, EpochCounts)),
    )
    ids, documents = list(inputs.query_ids), list(inputs.document_ids)
    weights = np.empty(0, dtype=np.float32)
    examples = Examples(ids, ids, documents, documents, inputs.positives, inputs.negatives, weights, inputs.known, {})
    at, cpu = time.perf_counter(), time.process_time()
    queries = sum(len(one.queries_B) for one in training_plan(OpenedPlan(folder, manifest), examples)(0))
    if queries != len(ids):
        raise SystemExit(f"read {queries} of {len(ids)} queries")
    return {"read_s": round(time.perf_counter() - at, 1), "read_cpu_s": round(time.process_time() - cpu, 1)}


def _hits(vectors_QD: Matrix, batch_Q: Rows) -> float:
    """Give the share of the 8 nearest neighbours of some queries that are in their batch."""
    asked = np.linspace(0, len(batch_Q) - 1, min(_ASKED, len(batch_Q))).astype(np.int64)
    best = np.full((len(asked), 8), -np.inf, dtype=np.float32)
    rows = np.zeros((len(asked), 8), dtype=np.int64)
    for start in range(0, len(batch_Q), _BLOCK // 4):
        cosine = vectors_QD[asked] @ vectors_QD[start : start + _BLOCK // 4].T
        own = (asked >= start) & (asked < start + cosine.shape[1])
        cosine[np.flatnonzero(own), asked[own] - start] = -np.inf
        top = np.argpartition(-cosine, min(8, cosine.shape[1] - 1), axis=1)[:, :8]
        both = np.concatenate([best, np.take_along_axis(cosine, top, axis=1)], axis=1)
        where = np.concatenate([rows, top + start], axis=1)
        kept = np.argpartition(-both, 8, axis=1)[:, :8]
        best, rows = np.take_along_axis(both, kept, axis=1), np.take_along_axis(where, kept, axis=1)
    return float((batch_Q[rows] == batch_Q[asked][:, None]).mean())


if __name__ == "__main__":
    main()
