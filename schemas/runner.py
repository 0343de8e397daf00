"""Where the parts of a build's steps run: here, in threads or processes of this machine, on Dask or on Ray."""

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.section import Section

RunnerKind = Literal["local", "threads", "processes", "dask", "ray"]
CLUSTERS: tuple[RunnerKind, ...] = ("dask", "ray")
"""Those that may span machines, and place a task by what it needs."""


class NeedsConfig(Section):
    """What one task of a step takes of the machine that it runs on. Its memory is `resources.memory`."""

    cpus: int = Field(1, ge=1)
    """Threads that it computes on, and processors that the engine sets aside for it."""
    gpus: int = Field(0, ge=0)
    """Devices that Dask or Ray set aside for it."""


class RunnerConfig(Section):
    """Who works on the cells, the shards of vectors and the selection of a build. No row depends on it.

    The address of a cluster is a place, and comes from the environment: NEGSET_CLUSTER.
    """

    kind: RunnerKind = "local"
    """`local` takes one part after the other, on all threads of this process; what follows then waits for another."""
    workers: int = Field(0, ge=0)
    """Tasks at once in threads, processes, or a cluster that is started for the build; 0 for as many as the
    processors of this machine allow. A cluster with an address has the workers it has."""
    max_tasks: int = Field(256, ge=1)
    """Task runs of one step at the most, so that the server keeps up: with more parts, several share a run."""
    pairs_per_task: int = Field(100_000_000, ge=1)
    """Pairs of a query and a document that are worth a task run, which costs a seventh of a second of processor time
    before it does anything; less work than two of them is not shared. In a selection a candidate counts as 100."""
    embed: NeedsConfig = NeedsConfig()
    mine: NeedsConfig = NeedsConfig()
    select: NeedsConfig = NeedsConfig()

    @model_validator(mode="after")
    def _gpus_have_an_effect(self) -> Self:
        asking = [name for name in ("embed", "mine", "select") if getattr(self, name).gpus]
        if asking and self.kind not in ("local", *CLUSTERS):
            message = f"{asking[0]}.gpus: {self.kind!r} places no task by its devices, only dask and ray do"
            raise ValueError(message)
        return self
