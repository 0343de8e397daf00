"""Episodes with prototypes of their own (ProtoCLIP: Chen et al. 2022, arXiv 2206.10996; clustering.py, main.py).

An episode is a part of the queries: it is clustered, trained on in random batches, and its clusters are forgotten. Two
of a batch with one prototype are likely to mean the same, and are masked. The authors draw an episode with replacement,
which leaves out a few of every hundred and repeats others; here an epoch is cut into episodes, unless asked otherwise.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from negset.arrays import Matrix, Rows
from negset.batching.centroids import cluster_vectors
from negset.batching.inputs import PlanInputs
from negset.batching.masks import pairs_in_groups, positives_of
from negset.batching.packing import cut
from negset.batching.planner import (
    Coverage,
    PlanEpoch,
    PlanParams,
    PlanSettings,
    Suspects,
    Visits,
    each_epoch,
    plan,
    shuffled,
    uniform,
)


class ProtoClipParams(PlanParams):
    """Options of ProtoCLIP's episodes."""

    episode: int = Field(200_000, ge=1)
    """Queries in an episode."""
    prototypes: int = Field(0, ge=0)
    """Clusters of an episode; 0 for one for each ten queries, 1,000 at the most (the authors have 20,000, on a GPU)."""
    side: Literal["query", "positive"] = "query"
    """What is clustered: the queries, or their positives."""
    replace: bool = False
    """Draw an episode's queries with replacement, as the authors do; one that is drawn twice is visited once."""
    mask: bool = True
    """Mask pairs of a batch with one prototype."""


def _coverage(params: ProtoClipParams) -> Coverage:
    return "some" if params.replace else "every"


def _repeats(params: ProtoClipParams) -> bool:
    return params.replace


@plan("protoclip", params=ProtoClipParams, coverage=_coverage, repeats=_repeats, from_vectors=each_epoch)
def protoclip(inputs: PlanInputs, settings: PlanSettings, params: ProtoClipParams) -> PlanEpoch:
    """Cut an epoch into episodes, cluster each, batch at random, and mask what shares a prototype."""

    def visit(epoch: int) -> Visits:
        queries: list[Rows] = []
        batches: list[Rows] = []
        prototypes: list[Rows] = []
        before = first = 0
        for number, rows in enumerate(draw_episodes(inputs, settings, params, epoch)):
            count = params.prototypes or min(max(len(rows) // 10, 1), 1000)
            found = cluster_vectors(_vectors(inputs, rows, params), inputs.keys_Q[rows], count, settings.seed + number)
            queries.append(rows)
            batches.append(before + cut(len(rows), settings.batch_size))
            prototypes.append(first + found)
            before, first = int(batches[-1][-1]) + 1, first + int(found.max()) + 1
        query_V, batch_V, group_V = (_joined(parts) for parts in (queries, batches, prototypes))
        bare = Visits(query_V, batch_V, np.full(before, settings.in_batch))
        return Visits(
            query_V,
            batch_V,
            bare.in_batch_B,
            kind="prototype",
            group_V=group_V,
            suspects=_same_prototype(inputs, bare, group_V, settings, epoch) if params.mask else None,
            notes={"episodes": len(queries)},
        )

    return visit


def draw_episodes(inputs: PlanInputs, settings: PlanSettings, params: ProtoClipParams, epoch: int) -> list[Rows]:
    """Give the query rows of each episode of an epoch, in a random order."""
    order = shuffled(inputs.keys_Q, settings.seed, epoch, "episodes")
    starts = range(0, len(order), params.episode)
    if not params.replace:
        return [order[start : start + params.episode] for start in starts]
    by_key = np.argsort(inputs.keys_Q, kind="stable")
    episodes = []
    for number, start in enumerate(starts):
        draws = np.arange(len(order[start : start + params.episode]), dtype=np.uint64)
        drawn = (uniform(draws, settings.seed, epoch, number, "draw") * len(order)).astype(np.int64)
        rows = by_key[np.unique(drawn)]
        episodes.append(rows[shuffled(inputs.keys_Q[rows], settings.seed, epoch, number, "order")])
    return episodes


def _vectors(inputs: PlanInputs, rows: Rows, params: ProtoClipParams) -> Matrix:
    if params.side == "query":
        return inputs.vectors()[rows]
    return inputs.document_vectors(inputs.positives.rows[inputs.positives.offsets[rows]])


def _joined(parts: list[Rows]) -> Rows:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _same_prototype(inputs: PlanInputs, visits: Visits, group_V: Rows, settings: PlanSettings, epoch: int) -> Suspects:
    positive_V = positives_of(inputs, visits, settings.seed, epoch)
    code_V = visits.batch_V * (int(group_V.max(initial=0)) + 1) + group_V
    order = np.argsort(code_V, kind="stable")
    left, right = pairs_in_groups(code_V[order])
    return Suspects(order[left], positive_V[order[right]], np.full(len(left), np.nan))
