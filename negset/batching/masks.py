"""What must not count in a batch: known positives that another query brings, and what a plan suspects."""

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Rows
from negset.batching.inputs import PlanInputs
from negset.batching.planner import Suspects, Visits
from negset.lots import id_keys, mix
from negset.training.examples import Groups


def positives_of(inputs: PlanInputs, visits: Visits, seed: int, epoch: int) -> Rows:
    """Give the positive of each visit: the plan's, or where it chose none (-1) the next of the query's own.

    These take turns by epoch, from a start drawn by the query's id, as `negset.training.batches.turns` has it.
    """
    starts_V = mix(inputs.keys_Q[visits.query_V] ^ id_keys([f"{seed}:positives"])) >> np.uint64(1)
    sizes_V = inputs.positives.sizes()[visits.query_V]
    turn_V = (starts_V.astype(np.int64) + epoch) % np.maximum(sizes_V, 1)
    own_V = inputs.positives.rows[inputs.positives.offsets[visits.query_V] + turn_V]
    return own_V if visits.positive_V is None else np.where(visits.positive_V < 0, own_V, visits.positive_V)


def known_in_batch(inputs: PlanInputs, visits: Visits, positive_V: Rows) -> tuple[Rows, Rows]:
    """Give visit and document of each known positive of a query that its batch brings, beside its own positive.

    A batch brings the positives and the hard negatives of all its queries.
    """
    documents = max(len(inputs.document_ids), 1)
    brought = _brought(inputs, visits, positive_V, documents)
    visit_M, known_M = _taken(inputs.known, visits.query_V)
    key_M = visits.batch_V[visit_M] * documents + known_M
    there = np.zeros(len(key_M), dtype=np.bool_)
    if len(brought):
        place_M = np.minimum(np.searchsorted(brought, key_M), len(brought) - 1)
        there = (brought[place_M] == key_M) & (known_M != positive_V[visit_M])
    return visit_M[there], known_M[there]


def _brought(inputs: PlanInputs, visits: Visits, positive_V: Rows, documents: int) -> Rows:
    """Give the documents of all batches, coded with their batch, ascending."""
    if visits.negatives is None:
        visit_E, negative_E = _taken(inputs.negatives, visits.query_V)
    else:
        visit_E, negative_E = _taken(visits.negatives, np.arange(len(visits.query_V)))
    return np.unique(np.r_[visits.batch_V * documents + positive_V, visits.batch_V[visit_E] * documents + negative_E])


def _taken(groups: Groups, places: Rows) -> tuple[Rows, Rows]:
    index, rows = groups.take(places)
    return index, rows


def within(
    pairs: tuple[Rows, Rows], suspected: NDArray[np.bool_], positive_V: Rows, value: NDArray[np.float64]
) -> Suspects:
    """Give those of the `pairs` of visits that are `suspected`: the second's positive is masked for the first."""
    left, right = pairs[0][suspected], pairs[1][suspected]
    return Suspects(left, positive_V[right], value[suspected])
