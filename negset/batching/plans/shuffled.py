"""Queries in a random order: what other plans are measured against."""

import numpy as np

from negset.batching.inputs import PlanInputs
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, plan, shuffled


class ShuffledParams(PlanParams):
    """A random order has no option."""


@plan("shuffled", params=ShuffledParams)
def shuffled_batches(inputs: PlanInputs, settings: PlanSettings, params: ShuffledParams) -> PlanEpoch:
    """Visit every query once, in an order that is drawn anew each epoch; the baseline."""

    def visit(epoch: int) -> Visits:
        order = shuffled(inputs.keys_Q, settings.seed, epoch, "order")
        batch_V = cut(len(order), settings.batch_size)
        return Visits(order, batch_V, np.full(-(-len(order) // settings.batch_size), settings.in_batch))

    return visit
