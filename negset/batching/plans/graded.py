"""Extremes first, borderline later (Multi-Modal Experience's curriculum; authors' train.py and loss.py).

Pairs have levels from 1, surely no match, to 5. How levels come from a set is ours: its positives of the highest
relevance are 5, others 4; its negatives are cut by margin into three parts, those closest to the positive being 3, the
farthest 1. Stage 1 has the levels 1 and 5, stage 2 all but 3, stage 3 all. A level is a positive's above 4 in
stage 1 and above 3 later, so level 3 counts as a negative when it comes in.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from negset.arrays import Rows
from negset.batching.inputs import PlanInputs
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, lots, plan, shuffled, some
from negset.lots import mix
from negset.training.examples import Groups

STAGES = ((1, 5), (1, 2, 4, 5), (1, 2, 3, 4, 5))
"""Levels of each stage."""


class GradedParams(PlanParams):
    """Options of the graded curriculum."""

    first: int = Field(1, ge=0)
    """Epochs with the levels 1 and 5 only."""
    second: int = Field(2, ge=0)
    """Epochs that follow, with all levels but 3."""
    by: str = ""
    """Scorer whose margins tell easy from borderline; empty for the score that the set's recipe compared."""
    stretch: int = Field(2, ge=1)
    """How many times as large the batches of the first stage are."""


@dataclass(frozen=True)
class Levels:
    """Pairs of a query and a document, sorted by query, with their level."""

    query_P: Rows
    document_P: Rows
    level_P: Rows

    def of_queries(self, levels: tuple[int, ...], queries: int) -> Groups:
        """Give the documents of these levels of each query."""
        there = np.isin(self.level_P, levels)
        offsets = np.searchsorted(self.query_P[there], np.arange(queries + 1))
        return Groups(offsets.astype(np.int64), self.document_P[there])


def stage_of(epoch: int, params: GradedParams) -> int:
    """Give the stage of an epoch, from 1 to 3."""
    return 1 + (epoch >= params.first) + (epoch >= params.first + params.second)


def is_positive(level: int, stage: int) -> bool:
    """Tell whether a pair of this level counts as a match in a stage."""
    return level > (4 if stage == 1 else 3)


@plan("graded", params=GradedParams, coverage=some)
def graded(inputs: PlanInputs, settings: PlanSettings, params: GradedParams) -> PlanEpoch:
    """Train on sure pairs first, on borderline ones later, by levels from grades and margins."""
    levels, queries = pair_levels(inputs, params.by), len(inputs.query_ids)

    def visit(epoch: int) -> Visits:
        stage = stage_of(epoch, params)
        admitted = STAGES[stage - 1]
        positives = levels.of_queries(tuple(one for one in admitted if is_positive(one, stage)), queries)
        negatives = levels.of_queries(tuple(one for one in admitted if not is_positive(one, stage)), queries)
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "order")
        size_Q = positives.sizes()
        order = order[(size_Q[order] > 0) & (settings.in_batch | (negatives.sizes()[order] > 0))]
        turn_V = lots(inputs.keys_Q[order], settings.seed, epoch, "positive") % size_Q[order].astype(np.uint64)
        stretch = params.stretch if stage == 1 else 1
        batches = -(-len(order) // (settings.batch_size * stretch))
        entries = negatives.entries(order)
        return Visits(
            order,
            cut(len(order), settings.batch_size * stretch),
            np.full(batches, settings.in_batch),
            kind="level",
            positive_V=positives.rows[positives.offsets[order] + turn_V.astype(np.int64)],
            negatives=Groups(np.r_[0, np.cumsum(negatives.sizes()[order])].astype(np.int64), negatives.rows[entries]),
            stage=f"stage {stage}: levels {', '.join(map(str, admitted))}",
            stretch=stretch,
            notes={"queries_with_nothing_of_these_levels": queries - len(order)},
        )

    return visit


def pair_levels(inputs: PlanInputs, by: str) -> Levels:
    """Give the level of every positive and of every hard negative that has a score."""
    grades, pairs = inputs.grades(), inputs.pairs(by)
    # The margin of a negative is that to the positive it is closest to.
    order = np.lexsort((pairs.margin_P, pairs.negative_P, pairs.query_P))
    fresh = np.r_[True, (np.diff(pairs.query_P[order]) != 0) | (np.diff(pairs.negative_P[order]) != 0)][: len(order)]
    order = order[fresh]
    margin = pairs.margin_P[order]
    cuts = np.quantile(margin, [1 / 3, 2 / 3]) if len(margin) else np.zeros(2)
    negative_level = 3 - (margin > cuts[0]).astype(np.int64) - (margin > cuts[1])
    highest = grades.grade_P.max(initial=1)
    query = np.r_[grades.query_P, pairs.query_P[order]]
    document = np.r_[grades.document_P, pairs.negative_P[order]]
    level = np.r_[np.where(grades.grade_P >= highest, 5, 4), negative_level]
    place = np.lexsort((mix(inputs.document_keys_D[document]), query))
    return Levels(query[place], document[place], level[place])
