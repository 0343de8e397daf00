"""Balanced clusters as in-batch hard negatives (NGAME: Dahiya et al. 2023, arXiv 2207.04452; libs/shortlist.py).

The queries are halved by spherical 2-means until clusters have about the size asked for; shuffled clusters follow each
other and are cut into batches. Clusters grow as training goes on. The authors start at one query a cluster and double
at epochs 10, 20, 25, 50, 75, 100, 125, 150 and 200 of 300: `size=1 doublings="10,20,25,50,75,100,125,150,200"`.
"""

import numpy as np
from pydantic import Field, field_validator

from negset.arrays import Rows
from negset.batching.bisection import bisect, halvings, part_sizes
from negset.batching.inputs import PlanInputs
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, lots, plan


class NgameParams(PlanParams):
    """Options of NGAME."""

    size: int = Field(16, ge=1)
    """Queries in a cluster, in the first epochs; the number of clusters is rounded up to a power of two."""
    doublings: str = "1,2,3,4"
    """Epochs, counted from 0, at which clusters become twice as large; empty for never."""

    @field_validator("doublings", mode="before")
    @classmethod
    def _spell(cls, given: object) -> object:
        """Take a single epoch, which a command line reads as a number."""
        return str(given) if isinstance(given, int) and not isinstance(given, bool) else given

    @field_validator("doublings")
    @classmethod
    def _ascend(cls, text: str) -> str:
        epochs = [int(one) for one in text.split(",") if one.strip()]
        if any(after <= before for before, after in zip([0, *epochs], epochs, strict=False)):
            message = f"{text!r} must be epochs from 1 upwards, each after the one before it"
            raise ValueError(message)
        return text

    def size_at(self, epoch: int) -> int:
        """Give the queries of a cluster in an epoch."""
        done = sum(int(one) <= epoch for one in self.doublings.split(",") if one.strip())
        return int(self.size << done)


def _in_clusters(params: NgameParams, epoch: int) -> bool:
    # Clusters of one are a random order, which needs no vectors.
    return params.size_at(epoch) > 1


@plan("ngame", params=NgameParams, from_vectors=_in_clusters)
def ngame(inputs: PlanInputs, settings: PlanSettings, params: NgameParams) -> PlanEpoch:
    """Batch balanced clusters of near queries, which grow with the epochs; nothing is encoded for it."""
    count = len(inputs.query_ids)
    smallest = min((params.size_at(epoch) for epoch in settings.visited if _in_clusters(params, epoch)), default=0)
    depth = halvings(count, smallest) if smallest else 0
    order = bisect(inputs.vectors(), inputs.keys_Q, depth, settings.seed) if depth else np.argsort(inputs.keys_Q)

    def visit(epoch: int) -> Visits:
        size = params.size_at(epoch)
        sizes = part_sizes(count, halvings(count, size)) if size > 1 else np.ones(count, dtype=np.int64)
        query_V, part_V = follow(order, sizes, inputs, settings.seed, epoch)
        batches = -(-count // settings.batch_size)
        return Visits(
            query_V,
            cut(count, settings.batch_size),
            np.full(batches, settings.in_batch),
            kind="cluster" if size > 1 else "none",
            group_V=part_V if size > 1 else None,
            stage=f"clusters of {size}",
        )

    return visit


def follow(order: Rows, sizes: Rows, inputs: PlanInputs, seed: int, epoch: int) -> tuple[Rows, Rows]:
    """Give the queries of `order`, whose clusters have these `sizes`, and their clusters: both orders drawn anew."""
    part_N = np.repeat(np.arange(len(sizes)), sizes)
    turn_P = lots(np.arange(len(sizes), dtype=np.uint64), seed, epoch, "clusters")
    within_N = lots(inputs.keys_Q[order], seed, epoch, "in cluster")
    place = np.lexsort((within_N, part_N, turn_P[part_N]))
    return order[place], part_N[place]
