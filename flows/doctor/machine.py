"""The machine: memory, threads, GPUs."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from flows.doctor.findings import Finding, fail, ok, warn
from negset.mining.budget import machine_memory
from negset.planning import plan_memory
from negset.store import Store
from schemas.config import BuildConfig

LITTLE_MEMORY = 2e9
"""Bytes: the libraries alone take about a third of that."""


def check_memory(config: BuildConfig | None, store: Store | None) -> Iterator[Finding]:
    """Give the memory that this process may use, and what mining of `config` takes where that is known."""
    total = machine_memory()
    if total < LITTLE_MEMORY:
        yield warn("memory", f"{total / 1e9:.1f} GB for this process", "give the container or process 4 GB or more")
    else:
        yield ok("memory", f"{total / 1e9:.1f} GB for this process, of machine, container and limits the least")
    budget = plan_memory(config, store) if config and store else None
    if budget is not None:
        yield ok("memory of mining", f"peaks at {budget.peak / 1e9:.2f} GB of {budget.total / 1e9:.2f} GB allowed")


def check_threads() -> Iterator[Finding]:
    """Compare the threads that libraries would use with the processors that this process may use."""
    import polars  # noqa: PLC0415 - not needed to say what is wrong with its version
    import torch  # noqa: PLC0415 - the same

    allowed = len(os.sched_getaffinity(0))
    quota = _quota()
    usable = min(allowed, quota) if quota else allowed
    found = {"polars": polars.thread_pool_size(), "torch": torch.get_num_threads()}
    told = ", ".join(f"{name} {count}" for name, count in found.items())
    if max(found.values()) > max(usable, 1):
        yield warn(
            "threads",
            f"{told}, but {usable:g} processors for this process",
            f"export OMP_NUM_THREADS={max(int(usable), 1)} POLARS_MAX_THREADS={max(int(usable), 1)}",
        )
    else:
        yield ok("threads", f"{told} on {usable:g} processors")


def _quota() -> float:
    """Give the processors that a container may use, 0 where there is no limit."""
    path = Path("/sys/fs/cgroup/cpu.max")
    quota, _, period = path.read_text().strip().partition(" ") if path.is_file() else ("max", "", "")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else 0.0


def check_gpus(config: BuildConfig | None) -> Iterator[Finding]:
    """Compute something on each GPU that torch sees; one that torch does not see, or that `config` lacks, is told."""
    import torch  # noqa: PLC0415 - not needed to say what is wrong with its version

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch warns of is what is told here
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = config is not None and config.encoder.device.startswith("cuda")
    if not count:
        yield _no_gpu(wanted=wanted, there=Path("/dev/nvidia0").exists(), build=torch.version.cuda)
    for number in range(count):
        try:
            total = float(torch.ones(1000, device=f"cuda:{number}").sum())
            free, size = torch.cuda.mem_get_info(number)
        except RuntimeError as error:
            yield fail(f"gpu {number}", f"computes nothing: {str(error).splitlines()[0]}", "see nvidia-smi")
            continue
        name = torch.cuda.get_device_name(number)
        if total == 1000:
            yield ok(f"gpu {number}", f"{name}, added up 1,000 numbers; {free / 1e9:.0f} of {size / 1e9:.0f} GB free")
        else:
            yield fail(f"gpu {number}", f"{name} gave {total:g} for a sum of 1,000", "do not use it")


def _no_gpu(*, wanted: bool, there: bool, build: str | None) -> Finding:
    if there:
        mend = "install a torch with CUDA (https://pytorch.org)" if build is None else "see nvidia-smi for the driver"
        return warn("gpu", f"/dev/nvidia0 is there, but torch ({build or 'a CPU build'}) sees no GPU", mend)
    if wanted:
        return fail("gpu", "encoder.device asks for CUDA, and torch sees no GPU", 'set encoder.device = "auto"')
    return ok("gpu", "none seen by torch; nothing asks for one")
