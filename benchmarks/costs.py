"""What a build of a large corpus would take: machines, hours, disk, memory and money, from measured costs.

    python -m benchmarks.costs [--documents 1e8] [--queries 1e6] [--dimensions 384] [--depth 100] [--text-bytes 1000]
        [--hours 24] [--cores 64] [--memory-gb 256] [--price-per-hour 3.0] [--price-per-tb-month 23]
        [--embed-per-core 22] [--mine-ns 0.00566]

Costs are those that `docs/scale.md` says how they were measured; prices and machines are yours to give. Steps that are
shared out are divided by machines, the others are not. The last line is one JSON object.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TypeVar

T = TypeVar("T")
ROWS = 1 << 32
"""Documents and queries are numbered in 32 bits where candidates are selected from."""


@dataclass(frozen=True)
class Costs:
    """Processor time of one core, as measured; a GPU's figures are to be given."""

    mine_ns: float = 0.00566
    """Scoring a pair, by dimension, certified in bfloat16: 8.7 s for 20,000 x 200,000 x 384."""
    embed_per_core: float = 22.0
    """Texts of 200 tokens in a second: MiniLM (6 layers) in bfloat16."""
    select_us: float = 2.5
    """A candidate, from cells to tables: 5.0 s for two million."""
    gates_us: float = 1.35
    """A candidate, through gates and publishing."""
    ingest_ns: float = 90.0
    """A byte of text, read and cut: 4.2 s for 200,000 documents of 235 bytes."""
    digest_us: float = 1.7
    """A document, in the rooms that look at all of them: digests, places."""


@dataclass(frozen=True)
class Load:
    """What is to be built."""

    documents: float
    queries: float
    dimensions: int = 384
    depth: int = 100
    text_bytes: int = 1_000
    partition: float = 250_000.0
    """Documents in a partition."""


@dataclass(frozen=True)
class Machine:
    """What one machine of the cluster is, and costs."""

    cores: int = 64
    memory_gb: float = 256.0
    price_per_hour: float = 3.0
    price_per_tb_month: float = 23.0


@dataclass(frozen=True)
class Estimate:
    """Hours of one core that are shared out, hours that are not, and what follows from them."""

    shared_core_hours: dict[str, float]
    alone_hours: dict[str, float]
    machines: int
    hours: float
    task_runs: int
    disk_tb: dict[str, float]
    process_gb: float
    """Memory of each task that mines: ids, digests and places of all documents."""
    ingest_gb: float
    """Memory of the process that reads the source."""
    compute_price: float
    storage_price_per_month: float
    stops: list[str] = field(default_factory=list)
    """What this design cannot do at this size."""


def estimate(load: Load, machine: Machine, costs: Costs, hours: float) -> Estimate:
    """Say what building `load` takes, with as many machines as have the shared steps done in `hours`."""
    candidates = load.queries * load.depth
    shared = {
        "embed": (load.documents + load.queries) / costs.embed_per_core,
        "mine": load.documents * load.queries * load.dimensions * costs.mine_ns * 1e-9,
        "select": candidates * costs.select_us * 1e-6,
    }
    alone = {
        "ingest": load.documents * load.text_bytes * costs.ingest_ns * 1e-9,
        "digests and places": load.documents * costs.digest_us * 1e-6,
        "gates and publishing": candidates * costs.gates_us * 1e-6,
    }
    machines = max(math.ceil(sum(shared.values()) / 3600 / machine.cores / hours), 1)
    partitions = math.ceil(load.documents / load.partition)
    disk = {
        "texts": load.documents * load.text_bytes,
        "vectors": load.documents * (load.dimensions * 4 + 75),
        "cells": load.queries * partitions * (load.depth * 1.125 * 16 + 28) + 16 * load.documents,
        "candidates": candidates * 60,
    }
    process = 0.6e9 + 120 * load.documents + load.partition * (load.dimensions * 4 + 150)
    ingest = 3.6 * load.text_bytes * load.documents
    taken = sum(shared.values()) / 3600 / machine.cores / machines + sum(alone.values()) / 3600
    disk_tb = {name: size / 1e12 for name, size in disk.items()}
    return Estimate(
        shared_core_hours={name: seconds / 3600 for name, seconds in shared.items()},
        alone_hours={name: seconds / 3600 for name, seconds in alone.items()},
        machines=machines,
        hours=taken,
        task_runs=min(256, 4 * machines * machine.cores) * 4,
        disk_tb=disk_tb,
        process_gb=process / 1e9,
        ingest_gb=ingest / 1e9,
        compute_price=taken * machines * machine.price_per_hour,
        storage_price_per_month=sum(disk_tb.values()) * machine.price_per_tb_month,
        stops=stops(load, machine, process / 1e9, ingest / 1e9, machines),
    )


def stops(load: Load, machine: Machine, process_gb: float, ingest_gb: float, machines: int) -> list[str]:
    """Say what of this design does not reach so far."""
    found = []
    if max(load.documents, load.queries) >= ROWS:
        found.append(f"rows are numbered in 32 bits: at most {ROWS:,} documents and queries in one build")
    if ingest_gb > machine.memory_gb:
        found.append(f"reading the source passes it through one process: {ingest_gb:,.0f} GB of {machine.memory_gb:g}")
    if process_gb > machine.memory_gb:
        found.append(f"a task knows all documents by id: {process_gb:,.0f} GB of {machine.memory_gb:g}")
    elif process_gb * machine.cores > machine.memory_gb:
        most = max(int(machine.memory_gb // process_gb), 1)
        found.append(f"a task takes {process_gb:,.1f} GB: {most} on a machine, the other cores as their threads (cpus)")
    if machines * machine.cores > 256:
        found.append("runner.max_tasks: raise it above the number of workers, and give the server Postgres")
    return found


def main() -> None:
    """Print an estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual_load, usual_machine, usual_costs = Load(1e8, 1e6), Machine(), Costs()
    for name in ("documents", "queries"):
        parser.add_argument(f"--{name}", type=float, default=getattr(usual_load, name))
    for name in ("dimensions", "depth", "text_bytes"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(usual_load, name))
    parser.add_argument("--hours", type=float, default=24.0, help="for the steps that are shared out")
    parser.add_argument("--cores", type=int, default=usual_machine.cores)
    for name in ("memory_gb", "price_per_hour", "price_per_tb_month"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(usual_machine, name))
    for name in ("embed_per_core", "mine_ns"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(usual_costs, name))
    options = parser.parse_args()
    given = vars(options)
    found = estimate(_some(Load, given), _some(Machine, given), _some(Costs, given), options.hours)
    for line in told(found):
        print(line)
    print(json.dumps(asdict(found)))


def told(found: Estimate) -> list[str]:
    """Give the lines of a report."""
    shared = ", ".join(f"{name} {hours:,.1f}" for name, hours in found.shared_core_hours.items())
    alone = ", ".join(f"{name} {hours:,.1f}" for name, hours in found.alone_hours.items())
    disk = ", ".join(f"{name} {size:,.2f}" for name, size in found.disk_tb.items())
    return [
        f"core hours shared out   {shared}",
        f"hours of one process    {alone}",
        f"machines                {found.machines:,}, for {found.hours:,.1f} hours: {found.compute_price:,.0f}",
        f"task runs               {found.task_runs:,}",
        f"disk, TB                {disk}: {found.storage_price_per_month:,.0f} a month",
        f"memory, GB              {found.process_gb:,.1f} for a task, {found.ingest_gb:,.0f} to read the source",
        *(f"stops                   {reason}" for reason in found.stops),
    ]


def _some(kind: type[T], given: dict[str, object]) -> T:
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{name: value for name, value in given.items() if name in names})


if __name__ == "__main__":
    main()
