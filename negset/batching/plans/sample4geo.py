"""Neighbours share a batch: on the globe first, later by similarity (Sample4Geo: Deuser et al. 2023, arXiv 2303.11851).

The authors call a haversine that wants radians with degrees (its neighbours are then hardly those on the globe) and
lose the item with the number 0; neither is so here. They drop what does not fill the last batch; here every query is
visited each epoch.
"""

import numpy as np
from pydantic import Field

from negset.batching.growing import Share, grow
from negset.batching.inputs import PlanInputs
from negset.batching.neighbours import nearest_places, nearest_vectors
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, lots, plan, shuffled
from negset.training.examples import Groups


class Sample4GeoParams(PlanParams):
    """Options of Sample4Geo."""

    geo_epochs: int = Field(4, ge=0)
    """Epochs, from the first, whose neighbours are those on the globe; 0 for none."""
    latitude: str = "latitude"
    """Metadata field of a query's degrees north."""
    longitude: str = "longitude"
    """Metadata field of a query's degrees east."""
    neighbours: int = Field(128, ge=1)
    """Length of the list of neighbours of each query."""
    nearest: int = Field(32, ge=0)
    """Neighbours that a seed always takes along, the nearest ones that no batch has yet."""
    others: int = Field(32, ge=0)
    """Neighbours that it takes of the rest of its list, at random."""
    one_view: bool = True
    """Take at most one of the queries with the same positive into a batch: they are views of one place."""


def _by_similarity(params: Sample4GeoParams, epoch: int) -> bool:
    return epoch >= params.geo_epochs


def _unsteady(positives: Groups, params: Sample4GeoParams) -> str:
    sizes = positives.sizes()
    if not params.one_view or not sizes.all():
        return ""
    first_Q = positives.rows[positives.offsets[:-1]]
    if len(np.unique(first_Q)) == len(first_Q):
        return ""
    return (
        "queries with one positive are kept apart, so that a batch may close early; set plan_options.one_view = false"
    )


@plan("sample4geo", params=Sample4GeoParams, from_vectors=_by_similarity, unsteady=_unsteady)
def sample4geo(inputs: PlanInputs, settings: PlanSettings, params: Sample4GeoParams) -> PlanEpoch:
    """Batch neighbours around seeds: near places in the first epochs, similar queries from then on."""
    count = params.neighbours
    geo = sim = None
    if not all(_by_similarity(params, epoch) for epoch in settings.visited):
        geo = nearest_places(inputs.places(params.latitude, params.longitude), inputs.keys_Q, count)
    if any(_by_similarity(params, epoch) for epoch in settings.visited):
        sim = nearest_vectors(inputs.vectors(), inputs.keys_Q, count, settings.seed)
    shares = (
        Share(0, params.nearest, params.nearest),
        Share(params.nearest, count, params.others),
    )
    sizes = inputs.positives.sizes()
    view_Q = inputs.positives.rows[inputs.positives.offsets[:-1]] if params.one_view and sizes.all() else None

    def visit(epoch: int) -> Visits:
        near = sim if _by_similarity(params, epoch) else geo
        if near is None:
            message = f"epoch {epoch} is none of the epochs that were prepared, {settings.visited}"
            raise ValueError(message)
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "seeds")
        drawn_Q = lots(inputs.keys_Q, settings.seed, epoch, "neighbours")
        grown = grow(order, near, shares, settings.batch_size, drawn_Q, label_Q=view_Q)
        batches = int(grown.batch_V[-1]) + 1 if len(grown.batch_V) else 0
        return Visits(
            grown.query_V,
            grown.batch_V,
            np.full(batches, settings.in_batch),
            kind="geo" if near is geo else "knn",
            group_V=grown.seed_V,
            group_names=inputs.query_ids,
            rank_V=grown.rank_V,
            distance_V=grown.distance_V,
            stage="near on the globe" if near is geo else "similar",
            notes={"queries_without_a_neighbour": int((near.rows_QK[:, :1] < 0).sum())},
        )

    return visit
