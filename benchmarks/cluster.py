"""One build by worker processes of a Dask cluster and by one process, and what the orchestration of cells costs.

    python -m benchmarks.cluster [--quick] [--documents 60000] [--queries 6000] [--workers 4] [--runs 1] [--cells 10000]

First the same build is made in turn by this process with its threads, and by `--workers` processes of one thread each
on this machine, which were started and warmed up before: wall time, processor time, the same version id. Then
`--cells` tiny cells are mined by the same workers, while the server is asked how it is. Last, what an empty part costs
gives Prefect's overhead, and with the cells to a task run that of a cell. The last line is one JSON object.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ |= {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
}

import httpx
import polars as pl

from flows.local_server import local_server

CONFIG = """\
name = "cluster"
[source]
format = "parquet"
path = "{folder}"
partitions = {partitions}
[encoder]
backend = "hashing"
dimensions = {dimensions}
shard_size = {shard}
[mine]
miners = ["dense", "bm25"]
depth = 50
query_block = {block}
[recipe]
name = "naive"
negatives = 4
[resources]
memory = "1GB"
"""
EMPTY_PARTS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="sizes that take a minute, and say little")
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--queries", type=int, default=6_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--block", type=int, default=1_000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--cells", type=int, default=10_000, help="0 leaves them out")
    options = parser.parse_args()
    if options.quick:
        options.documents, options.queries, options.block, options.cells = 3_000, 600, 100, 400
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PREFECT_HOME": f"{folder}/prefect", "NEGSET_HOME": f"{folder}/home"}
        with local_server(os.environ) as url:
            os.environ["PREFECT_API_URL"] = url
            found = measure(Path(folder), url, options)
    print(json.dumps(found))
    if not found["same_version"]:
        sys.exit(1)


def measure(folder: Path, url: str, options: argparse.Namespace) -> dict[str, object]:
    """Run everything on one cluster; give what was found."""
    from distributed import Client, LocalCluster

    world = folder / "world"
    write_world(world, options.documents, options.queries)
    config = folder / "build.toml"
    shard = max(options.documents // (4 * options.workers), 1)
    values = {"partitions": options.partitions, "block": options.block, "shard": shard}
    config.write_text(CONFIG.format(folder=world, dimensions=options.dimensions, **values))
    rows: dict[str, list[dict[str, object]]] = {"local": [], "dask": []}
    load = os.getloadavg()[0]
    with (
        # Workers take the home from the environment, and two builds may not share one: each has its own cluster's.
        LocalCluster(
            n_workers=options.workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            env={"POLARS_MAX_THREADS": "1"},
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        os.environ["NEGSET_CLUSTER"] = cluster.scheduler_address
        warm_up(folder, client)
        for run in range(options.runs):
            for kind in rows:
                pairs = options.documents * options.queries // (2 * options.workers)
                home = str(folder / f"{kind}-{run}")
                row = timed_build(config, kind, home, client, f"runner.pairs_per_task={pairs}")
                print(json.dumps(row), flush=True)
                rows[kind].append(row)
        cells = many_cells(folder, url, client, options.cells) if options.cells else {}
        empty = empty_parts(url, client)
    best = {kind: min(rows[kind], key=lambda row: float(str(row["wall_s"]))) for kind in rows}
    versions = {str(row["version"]) for kind in rows.values() for row in kind}
    ratio = float(str(best["dask"]["wall_s"])) / float(str(best["local"]["wall_s"]))
    per_run = float(str(empty["server_cpu_ms_per_task_run"]))
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "workers": options.workers,
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "documents": options.documents,
        "queries": options.queries,
        "same_version": len(versions) == 1,
        "wall_ratio": round(ratio, 3),
        "cpu_ratio": round(float(str(best["dask"]["cpu_s"])) / float(str(best["local"]["cpu_s"])), 3),
        **{kind: best[kind] for kind in best},
        "cells": cells,
        "empty_part": empty,
        "prefect_ms_per_cell": round(per_run / float(str(cells.get("cells_per_task_run", 1))), 3),
    }


def write_world(folder: Path, documents: int, queries: int) -> None:
    """Write texts of words of unequal frequency; each query shares words with its one positive."""
    draw = random.Random(5)
    words = [f"word{number}" for number in range(4_000)]
    weights = [1 / (number + 5) for number in range(len(words))]
    texts = [" ".join([*draw.choices(words, weights, k=30), f"item{place}"]) for place in range(documents)]
    names = [f"d{place:07d}" for place in range(documents)]
    picked = draw.sample(range(documents), queries)
    asked = [" ".join([*draw.sample(texts[place].split(), 6), f"ask{place}"]) for place in picked]
    keys = [f"q{place:07d}" for place in range(queries)]
    folder.mkdir()
    pl.DataFrame({"doc_id": names, "text": texts}).write_parquet(folder / "corpus.parquet")
    pl.DataFrame({"query_id": keys, "text": asked, "split": ["train"] * queries}).write_parquet(
        folder / "queries.parquet"
    )
    judged = {"query_id": keys, "doc_id": [names[place] for place in picked], "relevance": [1] * queries}
    pl.DataFrame(judged).write_parquet(folder / "qrels.parquet")


def warm_up(folder: Path, client: object) -> None:
    """Have this process and every worker import what they need, by a small build of each kind."""
    world = folder / "warm"
    write_world(world, 400, 200)
    config = folder / "warm.toml"
    config.write_text(CONFIG.format(folder=world, partitions=8, block=25, dimensions=16, shard=20))
    for kind in ("local", "dask"):
        timed_build(config, kind, str(folder / f"warm-{kind}"), client, "runner.pairs_per_task=1")


def timed_build(config: Path, kind: str, home: str, client: object, *changes: str) -> dict[str, object]:
    """Build `config` in the empty `home`; give seconds, processor seconds and the version."""
    from flows.build import build
    from negset.configuration import load_build_config

    set_home(client, home)
    loaded = load_build_config(config, [f"runner.kind={kind}", *changes])
    with used(client) as took:
        version = build(loaded).fingerprint
    return {"kind": kind, **took(), "version": version, "load": round(os.getloadavg()[0], 1)}


def many_cells(folder: Path, url: str, client: object, cells: int) -> dict[str, object]:
    """Mine about so many tiny cells by the workers; say what that took, and how the server did meanwhile."""
    from flows.build import build
    from negset.configuration import load_build_config

    side = max(int(cells**0.5), 1)
    world = folder / "cells"
    write_world(world, side * 20, side * 10)
    config = folder / "cells.toml"
    config.write_text(CONFIG.format(folder=world, partitions=side, block=10, dimensions=16, shard=1_000))
    set_home(client, str(folder / "cells-home"))
    options = ["runner.kind=dask", "runner.pairs_per_task=1", "mine.miners=['dense']", "mine.depth=5"]
    loaded = load_build_config(config, options)
    before, server = task_runs(url, "mine-cells"), server_cpu()
    with used(client) as took, watched(url) as slowest:
        build(loaded)
    wall = took()["wall_s"]
    settled = time.perf_counter()
    wait_until(lambda: task_runs(url, "mine-cells", "COMPLETED") >= task_runs(url, "mine-cells"))
    runs = task_runs(url, "mine-cells") - before
    mined = len([path for path in (folder / "cells-home" / "store" / "cell").iterdir() if path.is_dir()])
    return {
        "cells": mined,
        "task_runs": runs,
        "cells_per_task_run": round(mined / runs, 1),
        "wall_s": wall,
        "cells_per_s": round(mined / float(str(wall)), 1),
        "server_cpu_s": round(server_cpu() - server, 1),
        "slowest_answer_s": round(slowest(), 2),
        "recorded_after_s": round(time.perf_counter() - settled, 1),
    }


def empty_parts(url: str, client: object) -> dict[str, object]:
    """Send parts that do nothing; give what a task run costs this process, a worker and the server."""
    from prefect import flow

    from flows.runners.crew import open_crew
    from flows.runners.spreading import spread
    from schemas.config import BuildConfig
    from schemas.runner import NeedsConfig

    part = nothing_part()
    source, resources = {"format": "beir"}, {"memory": "1GB"}
    config = BuildConfig.model_validate(
        {"name": "empty", "source": source, "runner": {"kind": "dask"}, "resources": resources}
    )

    @flow
    def spread_nothing(count: int) -> None:
        with open_crew(config) as crew:
            spread(crew, part, NeedsConfig(), [{} for _ in range(count)])

    spread_nothing(4)
    server = server_cpu()
    with used(client) as took:
        spread_nothing(EMPTY_PARTS)
    took_all = took()
    wait_until(lambda: task_runs(url, "nothing", "COMPLETED") >= EMPTY_PARTS + 4)
    return {
        "task_runs": EMPTY_PARTS,
        "wall_ms_per_task_run": round(1e3 * float(str(took_all["wall_s"])) / EMPTY_PARTS, 1),
        "client_cpu_ms_per_task_run": round(1e3 * float(str(took_all["cpu_s"])) / EMPTY_PARTS, 1),
        "server_cpu_ms_per_task_run": round(1e3 * (server_cpu() - server) / EMPTY_PARTS, 1),
    }


def nothing_part() -> Callable[..., int]:
    """Give a part that does nothing."""
    from tasks.policies import part

    @part("nothing")
    def nothing(threads: int) -> int:
        return threads

    return nothing


def set_home(client: object, home: str) -> None:
    """Have this process and all workers put everything into `home`."""

    def set_here() -> None:
        os.environ["NEGSET_HOME"] = home

    set_here()
    client.run(set_here)  # type: ignore[attr-defined]


@contextmanager
def used(client: object) -> Iterator[Callable[[], dict[str, object]]]:
    """Give a function that says, after the block, its seconds, and processor seconds of all but the server."""
    start, before = time.perf_counter(), _cpu(client)
    took: dict[str, object] = {}
    yield lambda: took
    took |= {"wall_s": round(time.perf_counter() - start, 2), "cpu_s": round(_cpu(client) - before, 2)}


def _cpu(client: object) -> float:
    workers: dict[str, os.times_result] = client.run(os.times)  # type: ignore[attr-defined]
    return sum(sum(times[:2]) for times in [os.times(), *workers.values()])


def server_cpu() -> float:
    """Give the processor seconds of the Prefect server that this process started."""
    ticks = os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            mine = int(fields[1]) == os.getpid() and "flows.local_server" in (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if mine:
            return (int(fields[11]) + int(fields[12])) / ticks
    message = "the Prefect server is none of this process's children"
    raise RuntimeError(message)


@contextmanager
def watched(url: str) -> Iterator[Callable[[], float]]:
    """Ask the server every half second how it is; give a function for the longest that an answer took."""
    stop, slowest = threading.Event(), [0.0]

    def ask() -> None:
        while not stop.wait(0.5):
            start = time.perf_counter()
            httpx.post(f"{url}/flow_runs/count", json={}, timeout=300).raise_for_status()
            slowest[0] = max(slowest[0], time.perf_counter() - start)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield lambda: slowest[0]
    finally:
        stop.set()
        asking.join()


def task_runs(url: str, name: str, state: str = "") -> int:
    """Count the task runs of this name on the server, those in a `state` if one is given."""
    wanted: dict[str, object] = {"name": {"like_": f"{name}-"}}
    if state:
        wanted["state"] = {"type": {"any_": [state]}}
    return int(httpx.post(f"{url}/task_runs/count", json={"task_runs": wanted}, timeout=300).raise_for_status().text)


def wait_until(true: Callable[[], bool], patience: float = 300.0) -> None:
    """Ask every half second until it is `true`."""
    start = time.perf_counter()
    while not true():
        if time.perf_counter() - start > patience:
            message = f"not all task runs were recorded within {patience:.0f} s"
            raise RuntimeError(message)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
