"""Training queries in an order that means something, cut into buckets: how hard they are, or when they were asked."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from negset.arrays import Floats
from negset.errors import ConfigError
from negset.training.examples import Rows
from negset.transfer.affinity import gradient_affinity
from negset.transfer.buckets import cut_intervals, interval_costs
from negset.transfer.world import World, batch_gradients

Order = Literal["hardness", "time"]
BUCKETS: Final = 10


@dataclass(frozen=True)
class BucketGroup:
    """Neighbouring buckets that pull a model the same way. Values are those of the order, lowest and highest."""

    buckets: tuple[int, ...]
    queries: int
    low: float
    high: float


def hardness(world: World) -> Floats:
    """Give for each query how near its negatives are: their mean cosine less that of its positives, NaN without."""
    found = []
    for groups in (world.chosen.negatives, world.chosen.positives):
        places = np.arange(len(groups.sizes()))
        place, documents = groups.take(places)
        scores = np.einsum("pd,pd->p", world.queries_QD[place], world.documents_ND[documents]).astype(np.float64)
        with np.errstate(invalid="ignore"):
            found.append(np.bincount(place, scores, minlength=len(places)) / groups.sizes())
    return np.asarray(found[0] - found[1])


def group_order(world: World, rows: Rows, values: Floats, most: int, seed: int) -> list[BucketGroup]:
    """Cut the query `rows` into BUCKETS of equal size by their `values` (one for each of `rows`), then into groups.

    Buckets are compared by the directions of their gradients where training starts; at most `most` groups of
    neighbours that agree are formed. Raises ConfigError for fewer queries with a value than buckets.
    """
    there = ~np.isnan(values)
    rows, values = rows[there], values[there]
    if len(rows) < BUCKETS:
        message = f"{len(rows)} training queries have a value to order them by, fewer than {BUCKETS} buckets"
        raise ConfigError(message)
    order = np.lexsort((world.collection.query_keys[rows], values))
    parts = np.array_split(order, BUCKETS)
    gradients = [batch_gradients(world, np.sort(rows[part]), seed, batches=1) for part in parts]
    cosine_NN = gradient_affinity(gradients).cosine_GG
    gaps_NN = np.where(np.isnan(cosine_NN), 0.0, 2.0 - 2.0 * cosine_NN)
    found = []
    for members in cut_intervals(interval_costs(gaps_NN), most):
        inside = np.concatenate([parts[member] for member in members])
        found.append(BucketGroup(members, len(inside), float(values[inside].min()), float(values[inside].max())))
    return found
