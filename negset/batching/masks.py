"""What must not count in a batch: known positives that another query brings, and what a plan suspects."""

from typing import Final

import numpy as np

from negset.arrays import Floats, Matrix, Rows
from negset.batching.inputs import PlanInputs
from negset.batching.planner import Visits
from negset.lots import id_keys, mix
from negset.search import canonical

_BLOCK: Final = 8192


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
    there_E = brought(inputs, visits, positive_V)
    visit_M, known_M = inputs.known.take(visits.query_V)
    key_M = visits.batch_V[visit_M] * documents + known_M
    there = np.zeros(len(key_M), dtype=np.bool_)
    if len(there_E):
        place_M = np.minimum(np.searchsorted(there_E, key_M), len(there_E) - 1)
        there = (there_E[place_M] == key_M) & (known_M != positive_V[visit_M])
    return visit_M[there], known_M[there]


def brought(inputs: PlanInputs, visits: Visits, positive_V: Rows) -> Rows:
    """Give the documents of all batches, positives and hard negatives, as batch x documents + document, ascending."""
    documents = max(len(inputs.document_ids), 1)
    if visits.negatives is None:
        visit_E, negative_E = inputs.negatives.take(visits.query_V)
    else:
        visit_E, negative_E = visits.negatives.take(np.arange(len(visits.query_V)))
    return np.unique(np.r_[visits.batch_V * documents + positive_V, visits.batch_V[visit_E] * documents + negative_E])


def pairs_in_groups(group_V: Rows) -> tuple[Rows, Rows]:
    """Give both visits of every ordered pair of different visits that follow each other in one group."""
    starts = np.flatnonzero(np.r_[True, np.diff(group_V) != 0][: len(group_V)])
    size_G = np.diff(np.r_[starts, len(group_V)])
    size_V, start_V = np.repeat(size_G, size_G), np.repeat(starts, size_G)
    left = np.repeat(np.arange(len(group_V)), size_V)
    within = np.arange(len(left)) - np.repeat(np.cumsum(size_V) - size_V, size_V)
    right = start_V[left] + within
    other = left != right
    return left[other], right[other]


def cosines(left_ND: Matrix, left_P: Rows, right_MD: Matrix, right_P: Rows) -> Floats:
    """Give the inner product of each pair of rows, in float64 and rounded to 6 digits, a block of pairs at a time."""
    found = np.empty(len(left_P), dtype=np.float64)
    for start in range(0, len(left_P), _BLOCK):
        part = slice(start, start + _BLOCK)
        left, right = left_ND[left_P[part]].astype(np.float64), right_MD[right_P[part]].astype(np.float64)
        found[part] = np.einsum("pd,pd->p", left, right)
    return canonical(found)
