"""Seeds and some of their nearest, too similar pairs masked (OpenShape: Liu et al. 2023, arXiv 2305.10764).

The authors draw seeds with replacement, so that a third of the items is no seed for long, and multiply masked logits
by zero, which leaves them in the softmax. Here each query is visited once an epoch, seeds come in a drawn order, hubs
are taken once, and a masked pair is one that a loss must give no share.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from negset.arrays import Floats, Rows
from negset.batching.growing import Share, grow
from negset.batching.inputs import PlanInputs
from negset.batching.masks import cosines, pairs_in_groups, positives_of
from negset.batching.neighbours import nearest_vectors
from negset.batching.planner import (
    PlanEpoch,
    PlanParams,
    PlanSettings,
    Suspects,
    Visits,
    each_epoch,
    lots,
    plan,
    shuffled,
)
from negset.training.examples import Groups


class OpenShapeParams(PlanParams):
    """Options of OpenShape."""

    group: int = Field(8, ge=2)
    """Queries in a group: a seed and so many less one of its neighbours."""
    neighbours: int = Field(31, ge=1)
    """Nearest queries among which those are drawn at random."""
    gap: float = Field(0.1, ge=0, le=2)
    """A pair of a group is masked unless the query is so much more similar to its own positive than to the other's."""
    compare: Literal["positive", "query"] = "positive"
    """What the gap is between: similarities of the query to both positives, or to itself (1) and the other query."""
    fill: bool = Field(False, json_schema_extra={"neutral": True})
    """Fill every batch, its last group cut where it does not fit; else a batch closes where no whole group fits."""


def _unsteady(_positives: Groups, params: OpenShapeParams) -> str:
    return "" if params.fill else "a batch closes where no whole group fits; set plan_options.fill = true"


@plan("openshape", params=OpenShapeParams, from_vectors=each_epoch, unsteady=_unsteady)
def openshape(inputs: PlanInputs, settings: PlanSettings, params: OpenShapeParams) -> PlanEpoch:
    """Batch groups of a seed and some of its nearest; mask pairs of a group that are nearly the same."""
    near = nearest_vectors(inputs.vectors(), inputs.keys_Q, params.neighbours, settings.seed)
    shares = (Share(0, params.neighbours, params.group - 1),)
    whole = 1 if params.fill else min(params.group, settings.batch_size)

    def visit(epoch: int) -> Visits:
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "seeds")
        drawn_Q = lots(inputs.keys_Q, settings.seed, epoch, "neighbours")
        grown = grow(order, near, shares, settings.batch_size, drawn_Q, whole=whole)
        batches = int(grown.batch_V[-1]) + 1 if len(grown.batch_V) else 0
        sizes = np.bincount(grown.seed_V, minlength=len(inputs.query_ids))
        bare = Visits(grown.query_V, grown.batch_V, np.full(batches, settings.in_batch))
        return Visits(
            grown.query_V,
            grown.batch_V,
            np.full(batches, settings.in_batch),
            kind="knn",
            group_V=grown.seed_V,
            group_names=inputs.query_ids,
            rank_V=grown.rank_V,
            distance_V=grown.distance_V,
            suspects=_alike(inputs, grown.seed_V, positives_of(inputs, bare, settings.seed, epoch), bare, params),
            notes={"groups_with_fewer_than_asked": int(((sizes > 0) & (sizes < params.group)).sum())},
        )

    return visit


def _alike(inputs: PlanInputs, seed_V: Rows, positive_V: Rows, visits: Visits, params: OpenShapeParams) -> Suspects:
    """Give the pairs of a group whose gap is not above `params.gap`."""
    left, right = pairs_in_groups(seed_V)
    query_V, vectors_QD = visits.query_V, inputs.vectors()
    if params.compare == "query":
        gap: Floats = 1.0 - cosines(vectors_QD, query_V[left], vectors_QD, query_V[right])
    else:
        documents, place_V = np.unique(positive_V, return_inverse=True)
        vectors_ND = inputs.document_vectors(documents)
        own_V = cosines(vectors_QD, query_V, vectors_ND, place_V)
        gap = own_V[left] - cosines(vectors_QD, query_V[left], vectors_ND, place_V[right])
    alike = gap <= params.gap + 1e-6  # scores are compared up to six digits
    return Suspects(left[alike], positive_V[right[alike]], gap[alike])
