"""Early on, what answers a query of the same group is no negative (uncertainty of coarse queries, arXiv 2211.07394).

A coarse query has many right answers, of which its label names one. Pushed away early, the others are lost before the
encoder could tell them apart; later the label may say which is meant. The paper relaxes the loss by noise, as the loss
`uncertainty` does; that the groups are named beforehand, and how they are masked, is ours.
"""

import math

import numpy as np
import polars as pl
from pydantic import Field

from negset.arrays import Rows
from negset.batching.inputs import PlanInputs
from negset.batching.masks import brought, positives_of
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Suspects, Visits, plan, shuffled
from negset.errors import ConfigError
from negset.training.examples import Groups


class CoarseGroupsParams(PlanParams):
    """Options of groups whose answers are shared at first."""

    group: str = "coarse_group"
    """Metadata field of a query that names its group; a query without it is alone."""
    phase_two: float = Field(0.5, gt=0, le=1)
    """Share of the epochs after which the answers of a query's group count as its negatives; 1: they never do."""


@plan("coarse-groups", params=CoarseGroupsParams)
def coarse_groups(inputs: PlanInputs, settings: PlanSettings, params: CoarseGroupsParams) -> PlanEpoch:
    """Batch queries at random; until phase 2 mask the positives of a query's group."""
    group_Q = _numbered(inputs.column(params.group))
    later = _first_of_phase_two(settings.epochs, params.phase_two)
    answers = _answers(inputs, group_Q)

    def visit(epoch: int) -> Visits:
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "order")
        batch_V = cut(len(order), settings.batch_size)
        in_batch_B = np.full(-(-len(order) // settings.batch_size), settings.in_batch)
        bare = Visits(order, batch_V, in_batch_B)
        first = epoch < later
        return Visits(
            order,
            batch_V,
            in_batch_B,
            suspects=_shared(inputs, bare, group_Q, answers, settings.seed, epoch) if first else None,
            stage="phase 1: answers of a group are masked" if first else "phase 2: they are negatives",
            notes={"visits_without_a_group": int((group_Q == _NOBODY).sum())},
        )

    return visit


_NOBODY = -1


def _numbered(values: pl.Series) -> Rows:
    """Number the groups of queries by name; -1 for a query without one."""
    names = values.drop_nulls().unique().sort().to_list()
    return values.replace_strict(names, range(len(names)), default=_NOBODY, return_dtype=pl.Int64).to_numpy()


def _first_of_phase_two(epochs: int, share: float) -> int:
    """Give the first epoch of phase 2; raise ConfigError where it was asked for and would never come."""
    first = math.ceil(share * epochs - 1e-9)
    if share < 1 and epochs and first >= epochs:
        message = (
            f"plan coarse-groups: phase 2 begins after {share:g} of the epochs and would never come in {epochs}. "
            "Ask for more epochs, or set phase_two=1 to mask throughout"
        )
        raise ConfigError(message)
    return first


def _answers(inputs: PlanInputs, group_Q: Rows) -> Groups:
    """Give for each document the groups that it answers: those of the queries whose positive it is."""
    query_P, document_P = inputs.positives.take(np.flatnonzero(group_Q != _NOBODY))
    group_P = group_Q[group_Q != _NOBODY][query_P]
    groups, documents = int(group_Q.max(initial=0)) + 1, len(inputs.document_ids)
    code_P = np.unique(document_P * groups + group_P)
    offsets = np.searchsorted(code_P, np.arange(documents + 1) * groups)
    return Groups(offsets.astype(np.int64), code_P % groups)


def _shared(inputs: PlanInputs, visits: Visits, group_Q: Rows, answers: Groups, seed: int, epoch: int) -> Suspects:
    """Give each visit the documents that its batch brings and that answer its group."""
    documents, groups = max(len(inputs.document_ids), 1), int(group_Q.max(initial=0)) + 1
    code_E = brought(inputs, visits, positives_of(inputs, visits, seed, epoch))
    entry_K, group_K = answers.take(code_E % documents)
    key_K, document_K = (code_E // documents)[entry_K] * groups + group_K, (code_E % documents)[entry_K]
    order = np.lexsort((document_K, key_K))
    asking = np.flatnonzero(group_Q[visits.query_V] != _NOBODY)
    key_A = visits.batch_V[asking] * groups + group_Q[visits.query_V[asking]]
    sorted_K = key_K[order]
    start_A, end_A = np.searchsorted(sorted_K, key_A), np.searchsorted(sorted_K, key_A, side="right")
    counts_A = end_A - start_A
    place_M = np.repeat(start_A - np.r_[0, np.cumsum(counts_A)[:-1]][: len(counts_A)], counts_A)
    document_M = document_K[order][place_M + np.arange(len(place_M))]
    return Suspects(np.repeat(asking, counts_A), document_M, np.full(len(document_M), np.nan))
