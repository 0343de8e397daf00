"""A share of the queries that grows and shrinks, easy ones first (Cyclical Curriculum: Kesgin, Amasyali 2022).

An epoch has a share of the queries, drawn without replacement, each with a chance by 1 / its loss under a plain model.
Sizes as in the authors' ChangeDatasize.py: doubled from the start up to all, halved down to the start, again. A loss of
zero would have an infinite chance: losses below the first percentile count as it.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field, model_validator

from negset.arrays import Floats
from negset.batching.inputs import PlanInputs
from negset.batching.packing import cut
from negset.batching.planner import PlanEpoch, PlanParams, PlanSettings, Visits, plan, shuffled, some, uniform


class CyclicalParams(PlanParams):
    """Options of the cyclical curriculum."""

    start: float = Field(0.25, gt=0, le=1)
    """Share of the queries in the first epoch."""
    end: float = Field(1.0, gt=0, le=1)
    """Largest share."""
    factor: float = Field(0.5, gt=0, lt=1)
    """What the share is divided by from epoch to epoch until it is the largest, and then multiplied by."""
    losses: str = ""
    """Parquet of query_id and loss, such as a run's pair_stats; empty for the loss that the scores of the
    set's positives and negatives give (temperature 0.05)."""
    rate: float = Field(0.0, ge=0)
    """Above 0, chances are exp(-rate x loss) in place of 1 / loss."""

    @model_validator(mode="after")
    def _grows(self) -> "CyclicalParams":
        if self.end < self.start:
            message = f"end {self.end:g} is below start {self.start:g}"
            raise ValueError(message)
        return self


def shares(start: float, end: float, factor: float) -> Iterator[float]:
    """Give the share of each epoch, for ever."""
    share, up = start, start < end
    while True:
        yield share
        if share >= end:
            up = False
        elif share <= start:
            up = True
        share = min(share / factor, end) if up else max(share * factor, start)


def shares_worth(passes: int, params: CyclicalParams) -> list[float]:
    """Give the shares of as many epochs as it takes to visit as many queries as in `passes` over all of them."""
    given: list[float] = []
    for share in shares(params.start, params.end, params.factor):
        if sum(given) >= passes - 1e-9:
            break
        given.append(share)
    return given


def _epochs(passes: int, params: CyclicalParams) -> int:
    return len(shares_worth(passes, params))


@plan("cyclical", params=CyclicalParams, coverage=some, epochs=_epochs, files=["losses"])
def cyclical(inputs: PlanInputs, settings: PlanSettings, params: CyclicalParams) -> PlanEpoch:
    """Visit a share of the queries, easy ones first, that grows and shrinks from epoch to epoch."""
    chance_Q = chances(inputs.losses(params.losses), params.rate)
    share_E = shares_worth(settings.passes, params)

    def visit(epoch: int) -> Visits:
        count = max(int(share_E[epoch] * len(chance_Q) + 1e-9), min(len(chance_Q), 1))
        # The largest of log p plus Gumbel noise are a draw by p without replacement.
        noise_Q = -np.log(-np.log(uniform(inputs.keys_Q, settings.seed, epoch, "share")))
        first_Q = np.lexsort((inputs.keys_Q, -(np.log(chance_Q) + noise_Q)))[:count]
        order = first_Q[shuffled(inputs.keys_Q[first_Q], settings.seed, epoch, "order")]
        return Visits(
            order,
            cut(count, settings.batch_size),
            np.full(-(-count // settings.batch_size), settings.in_batch),
            probability_V=chance_Q[order],
            stage=f"share {share_E[epoch]:.4g}",
        )

    return visit


def chances(loss_Q: Floats, rate: float) -> Floats:
    """Give each query's chance to be the first that is drawn; they sum to 1."""
    if not len(loss_Q):
        return loss_Q
    if rate:
        weight_Q = np.exp(-rate * (loss_Q - loss_Q.min()))
    else:
        positive = loss_Q[loss_Q > 0]
        least = np.quantile(positive, 0.01) if len(positive) else 1.0
        weight_Q = 1.0 / np.maximum(loss_Q, least)
    weight_Q = np.maximum(weight_Q, np.finfo(np.float64).tiny)
    return np.asarray(weight_Q / weight_Q.sum(), dtype=np.float64)
